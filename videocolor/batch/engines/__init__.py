"""Who works on tasks: `open_engine(settings)` gives processes of this machine, or those of a Ray cluster."""

from videocolor.batch.engines.base import Engine, open_engine

__all__ = ["Engine", "open_engine"]
