"""Reading and writing film: the only place that knows FFmpeg (through PyAV)."""

from videocolor.video.film import COLOR_LABEL
from videocolor.video.joining import join_shards, take_out
from videocolor.video.output import LOSSLESS, OutputOptions, OutputPlan
from videocolor.video.packets import StreamDigest, Written, digests_of
from videocolor.video.plan import check_target, plan_output
from videocolor.video.probe import WOVEN, probe
from videocolor.video.reader import VideoReader, open_video
from videocolor.video.sequences import check_name, sequence_files
from videocolor.video.shardfile import ShardFile, ShardSink, sync_folder
from videocolor.video.unwritten import unwritten_later
from videocolor.video.writer import OutputReport, VideoWriter

__all__ = [
    "COLOR_LABEL",
    "LOSSLESS",
    "WOVEN",
    "OutputOptions",
    "OutputPlan",
    "OutputReport",
    "ShardFile",
    "ShardSink",
    "StreamDigest",
    "VideoReader",
    "VideoWriter",
    "Written",
    "check_name",
    "digests_of",
    "join_shards",
    "open_video",
    "check_target",
    "plan_output",
    "probe",
    "sequence_files",
    "sync_folder",
    "take_out",
    "unwritten_later",
]
