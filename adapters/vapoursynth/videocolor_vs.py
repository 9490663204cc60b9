"""A VapourSynth filter: a clip in, the same clip in color out, with random access by shot; see README.md."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import vapoursynth as vs

from videocolor import ColorizeConfig, ColorSpec, colorize_frames

KEPT = 2
"""Colored shots that stay in memory."""
MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}


def colorize(
    clip: vs.VideoNode,
    shots: Sequence[int] = (0,),
    hints: Mapping[int, str | Path | np.ndarray[Any, Any]] | None = None,
    config: ColorizeConfig | None = None,
    **options: Any,
) -> vs.VideoNode:
    """Color a clip.

    Args:
        clip: GRAY or YUV of constant size, integers of 8, 10, 12 or 16 bits; only its luma is used.
        shots: first frame of each shot; a request colors all frames of its shot.
        hints: index of a frame -> the frame in color: a file, or (h, w, 3) R'G'B' in 0..1.
        config: see `ColorizeConfig.load`; shots are not detected.
        options: of `videocolor.colorize_frames`, such as colorizer.

    Returns:
        YUV444 of the same depth: the clip's own luma.
    """
    fmt = clip.format
    if fmt is None or fmt.color_family not in (vs.GRAY, vs.YUV) or fmt.sample_type != vs.INTEGER:
        raise vs.Error("videocolor: expected a GRAY or YUV clip of integers and constant format; convert it by resize")
    if fmt.bits_per_sample not in (8, 10, 12, 16):
        raise vs.Error(f"videocolor: {fmt.bits_per_sample} bits; expected 8, 10, 12 or 16")
    starts = sorted(set(shots))
    if not starts or starts[0] != 0 or starts[-1] >= clip.num_frames:
        raise vs.Error(f"videocolor: shots must begin with frame 0 and lie in the clip of {clip.num_frames} frames")
    plain = (config or ColorizeConfig()).as_dict()
    plain["shots"] |= {"detector": "none", "file": None}
    luma = clip.std.ShufflePlanes(planes=0, colorfamily=vs.GRAY)
    work = _Shots(luma, starts, dict(hints or {}), ColorizeConfig.model_validate(plain), options)
    out = vs.core.query_video_format(vs.YUV, vs.INTEGER, fmt.bits_per_sample, 0, 0)
    blank = vs.core.std.BlankClip(clip, format=out)
    return blank.std.ModifyFrame(clips=[blank, clip], selector=work.frame)


class _Shots:
    """Colors shots when they are asked for, and keeps the latest."""

    def __init__(
        self,
        luma: vs.VideoNode,
        starts: list[int],
        hints: dict[int, Any],
        config: ColorizeConfig,
        options: dict[str, Any],
    ) -> None:
        self._luma, self._starts, self._hints = luma, starts, hints
        self._config, self._options = config, options
        self._done: OrderedDict[int, list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = OrderedDict()
        self._lock = Lock()

    def frame(self, n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        """Return frame `n`: the clip's luma, our chroma."""
        out, source = f[0].copy(), f[1]
        shot = bisect_right(self._starts, n) - 1
        with self._lock:
            if shot not in self._done:
                self._done[shot] = self._color(shot)
                while len(self._done) > KEPT:
                    self._done.popitem(last=False)
            self._done.move_to_end(shot)
            chroma = self._done[shot][n - self._starts[shot]]
        for plane, data in enumerate((np.asarray(source[0]), *chroma)):
            np.copyto(np.asarray(out[plane]), data)
        for name, value in source.props.items():
            out.props[name] = value
        return out

    def _color(self, shot: int) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        start = self._starts[shot]
        end = self._starts[shot + 1] if shot + 1 < len(self._starts) else self._luma.num_frames
        with self._luma.get_frame(start) as first:
            matrix = MATRICES.get(int(first.props.get("_Matrix", 2)), "bt601" if self._luma.height < 720 else "bt709")
            full = int(first.props.get("_Range", first.props.get("_ColorRange", 1) == 0)) == 1
        lumas = (np.asarray(frame[0]).copy() for frame in self._luma[start:end].frames(close=True))
        hints = {n - start: Path(h) if isinstance(h, str) else h for n, h in self._hints.items() if start <= n < end}
        color = ColorSpec(matrix, "full" if full else "limited")  # type: ignore[arg-type]
        depth, rate = self._luma.format.bits_per_sample, Fraction(self._luma.fps or 25)
        found = colorize_frames(lumas, self._config, hints=hints, rate=rate, depth=depth, color=color, **self._options)
        return [(frame.chroma[0].copy(), frame.chroma[1].copy()) for frame in found if frame.chroma is not None]
