"""Proof of what was done: C2PA manifests, and what they are signed with."""
