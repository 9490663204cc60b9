"""Reading and writing film: the only place that knows FFmpeg (through PyAV)."""

from videocolor.video.joining import join_shards
from videocolor.video.plan import OutputOptions, OutputPlan, plan_output
from videocolor.video.probe import probe
from videocolor.video.reader import VideoReader, open_video
from videocolor.video.shardfile import ShardFile, ShardSink, sync_folder
from videocolor.video.writer import OutputReport, VideoWriter

__all__ = [
    "OutputOptions",
    "OutputPlan",
    "OutputReport",
    "ShardFile",
    "ShardSink",
    "VideoReader",
    "VideoWriter",
    "join_shards",
    "open_video",
    "plan_output",
    "probe",
    "sync_folder",
]
