"""Color tags: from FFmpeg's numbers (ITU-T H.273) to a `ColorSpec` and back, with every assumption named."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from videocolor.errors import UnsupportedVideoError
from videocolor.types import ColorSpec, Matrix, PixelLayout, Range

__all__ = ["RawTags", "output_numbers", "read_color"]

_UNSTATED = (0, 2)
_MATRIX: dict[int, Matrix] = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
_NEAREST: dict[int, tuple[Matrix, str]] = {
    4: ("bt601", "FCC"),
    7: ("bt709", "SMPTE 240M"),
    11: ("bt2020", "SMPTE 2085"),
    12: ("bt709", "derived from the primaries"),
}
_REFUSED = {
    8: "YCgCo",
    10: "BT.2020 constant luminance",
    13: "constant luminance derived from the primaries",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-R",
    17: "YCgCo-R",
}
_HDR = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}


@dataclass(frozen=True)
class RawTags:
    """The four numbers as FFmpeg states them; 2 means "not stated" (0 for the range)."""

    range: int
    matrix: int
    primaries: int
    transfer: int


def read_color(
    path: Path, tags: RawTags, layout: PixelLayout, height: int, rate: Fraction | None
) -> tuple[ColorSpec, tuple[str, ...]]:
    """Turn a film's tags into a `ColorSpec`, filling what it does not state by the usual rules.

    Args:
        path: The film, for messages.
        tags: What the first frame, else the codec, states.
        layout: The decoded pixel format.
        height: Lines of the picture: below 720 the matrix is BT.601, from 720 on BT.709.
        rate: Frames a second, to tell 625-line film (25 or 50) from 525-line film.

    Returns:
        The spec, and warnings about tags that were replaced by their nearest neighbor.

    Raises:
        UnsupportedVideoError: HDR transfer, or a matrix whose first plane is not luma.
    """
    if tags.transfer in _HDR:
        raise UnsupportedVideoError(
            f"{path}: HDR film with {_HDR[tags.transfer]} transfer; coloring it as SDR would be wrong. "
            "Tone-map it to BT.709 SDR first, then color the result"
        )
    if layout.kind != "rgb" and tags.matrix in _REFUSED:
        raise UnsupportedVideoError(
            f"{path}: color matrix {_REFUSED[tags.matrix]} is not supported; convert the film to BT.709 first"
        )
    assumed: list[str] = []
    warnings: list[str] = []
    matrix = _matrix(tags, layout, height, assumed, warnings)
    return (
        ColorSpec(
            matrix=matrix,
            range=_range(tags, layout, assumed),
            primaries=_primaries(tags, layout, matrix, height, rate, assumed),
            transfer=_transfer(tags, layout, matrix, assumed),
            assumed=tuple(assumed),
        ),
        tuple(warnings),
    )


def _matrix(tags: RawTags, layout: PixelLayout, height: int, assumed: list[str], warnings: list[str]) -> Matrix:
    if layout.kind != "rgb" and tags.matrix in _MATRIX:
        return _MATRIX[tags.matrix]
    if layout.kind != "rgb" and tags.matrix in _NEAREST:
        nearest, name = _NEAREST[tags.matrix]
        warnings.append(f"color matrix {name} is treated as its nearest, {nearest}")
        return nearest
    assumed.append("matrix")
    if tags.primaries == 9:
        return "bt2020"
    return "bt601" if height < 720 else "bt709"


def _range(tags: RawTags, layout: PixelLayout, assumed: list[str]) -> Range:
    if layout.kind == "rgb":
        return "full"
    if layout.name.startswith("yuvj"):
        return "full"
    if tags.range in (1, 2):
        return "limited" if tags.range == 1 else "full"
    assumed.append("range")
    return "full" if layout.kind == "gray" else "limited"


def _primaries(
    tags: RawTags, layout: PixelLayout, matrix: Matrix, height: int, rate: Fraction | None, assumed: list[str]
) -> int:
    if tags.primaries not in _UNSTATED:
        return tags.primaries
    assumed.append("primaries")
    if layout.kind == "rgb" and matrix != "bt2020":
        return 1
    if matrix == "bt601":
        # 5 and 6 carry one matrix but name the system; a stated matrix of 5 or 6 decides before the line count.
        if "matrix" not in assumed and tags.matrix in (5, 6):
            return tags.matrix
        return 5 if height == 576 or rate in (25, 50) else 6
    return 1 if matrix == "bt709" else 9


def _transfer(tags: RawTags, layout: PixelLayout, matrix: Matrix, assumed: list[str]) -> int:
    if tags.transfer not in _UNSTATED:
        return tags.transfer
    assumed.append("transfer")
    if layout.kind == "rgb":
        return 13  # sRGB
    return {"bt601": 6, "bt709": 1, "bt2020": 14}[matrix]


def output_numbers(color: ColorSpec) -> RawTags:
    """Return the numbers to write for a spec: BT.601 is tagged 5 with 625-line primaries, else 6."""
    matrix = {"bt601": 5 if color.primaries == 5 else 6, "bt709": 1, "bt2020": 9}[color.matrix]
    return RawTags(1 if color.range == "limited" else 2, matrix, color.primaries, color.transfer)
