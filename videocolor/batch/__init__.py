"""Archives: many films, cut into shards, by workers on one machine or on many.

jobs      what to do: films, hints, presets, outputs                      videocolor.batch.jobs
plan      film -> shots -> shards, each with a key                        videocolor.shards.plan
run       take films in, drive the work, report                           videocolor.batch.run
driver    tasks to workers, events to films, complete films to merge      videocolor.batch.driver
engines   workers: processes of this machine, or Ray                      videocolor.engines
work      color shards of one film: the workers' function                videocolor.shards.work
finish    merge shards into a film; proofs, package, receipt              videocolor.batch.finish
state     the files that say what is done                                 videocolor.batch.state
"""
