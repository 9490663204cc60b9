"""Stages of a pipeline in threads, and worker processes."""
