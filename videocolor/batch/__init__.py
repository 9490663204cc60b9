"""Whole archives: films cut into shards, a ledger of what is done, workers on one machine or on many.

jobs      what to do: films, hints, presets, outputs                      videocolor.batch.jobs
plan      film -> shots -> shards, each with a key                        videocolor.shards.plan
ledger    what is planned, running, done, failed (SQLite)                 videocolor.batch.ledger
work      colour shards of one film: what a worker does                   videocolor.shards.work
engines   who works: processes of this machine, or Ray                    videocolor.batch.engines
run       the driver: tasks out, events in, merge, report                 videocolor.batch.run
merge     shards -> one film with every stream of its source              videocolor.shards.merge
"""
