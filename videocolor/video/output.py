"""What may be asked of an output, and what was decided about it (`videocolor.video.plan`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from videocolor.types import Array, ColorSpec, PixelLayout, VideoInfo

__all__ = ["LOSSLESS", "OutputOptions", "OutputPlan", "Span"]

Span = tuple[Fraction | None, Fraction | None]
"""Start and end of a part of a film in seconds; None: the film's own."""


LOSSLESS: Final = frozenset({"ffv1", "ffvhuff", "huffyuv", "utvideo", "rawvideo"})
"""Encoders that keep every sample."""


@dataclass(frozen=True)
class OutputOptions:
    """What a person may ask of the output; None leaves the choice to the container's defaults."""

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    only_chroma: bool = False
    """Write Cb and Cr at their own size, with constant luma."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Further options of the encoder, by FFmpeg's names."""
    muxer: Mapping[str, str] = field(default_factory=dict)
    """Options of the muxer, by FFmpeg's names."""
    overwrite: bool = False
    color_label: bool = True
    """Say in the file's metadata that its color is not original."""
    span: Span = (None, None)
    """The part of the film that is written."""


@dataclass(frozen=True, eq=False)
class OutputPlan:
    """How a film will be written."""

    target: Path
    container: str
    """FFmpeg's muxer; `image2` for images."""
    codec: str
    pix_fmt: str
    """The encoder's pixel format."""
    layout: PixelLayout
    """Depth and planes of what `VideoWriter.write` takes; images take 4:4:4 planes and become RGB."""
    color: ColorSpec
    """Matrix and range of what `VideoWriter.write` takes and of the file."""
    chroma_size: tuple[int, int]
    """(width, height) of the Cb and Cr planes."""
    codec_options: dict[str, str]
    dropped: tuple[str, ...]
    """What the container cannot hold, each named."""
    notes: tuple[str, ...]
    """What a person should know: changes of format, assumptions."""
    estimated_bits: int | None
    """Rough size of the picture stream."""
    luma_map: Array | None = None
    """Table from source luma codes to the output's; None: samples pass untouched."""
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    """Options that were asked for; they replace ours of the same name."""
    recoded: frozenset[int] = frozenset()
    """Numbers of the source's streams that are stored otherwise, since the container takes them in no other way."""
    only_chroma: bool = False
    """The file holds Cb and Cr at their own size, 4:4:4, and constant luma."""
    uncompared: tuple[str, ...] = ()
    """Names of the source's streams whose packets the container keeps in a form of its own."""

    @property
    def luma_exact(self) -> bool:
        """Whether luma samples reach the encoder as they are stored in the source."""
        return self.luma_map is None and self.container != "image2" and not self.only_chroma

    def stored(self, info: VideoInfo) -> VideoInfo:
        """Return the film's description with the picture as it is stored."""
        if not self.only_chroma:
            return info
        width, height = self.chroma_size
        shape = info.sar * Fraction(info.width * height, info.height * width)
        return replace(info, width=width, height=height, sar=shape, crop=(0, 0, 0, 0))

    def check_samples(self, **planes: Array) -> None:
        """Refuse planes of another type: a cast would wrap their values silently.

        Raises:
            ValueError: A plane is not of `layout.depth` bits.
        """
        wanted = np.dtype(np.uint8 if self.layout.depth <= 8 else np.uint16)
        for name, plane in planes.items():
            if plane.dtype != wanted:
                raise ValueError(f"{name}.dtype = {plane.dtype}: expected {wanted}")
