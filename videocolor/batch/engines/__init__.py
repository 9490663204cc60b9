"""Who works on tasks: `open_engine(settings)` gives processes of this machine, or those of a Ray cluster."""

from videocolor.batch.engines.base import Engine, open_engine
from videocolor.batch.engines.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "open_engine"]
