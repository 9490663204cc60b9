"""Process one source: inspect it, draw pairs, store their frames, check the scenes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.datasets.pairs.first_pass import FilmLook, fingerprint, look_at_film, refusal
from videocolor.datasets.pairs.frames import SUFFIX, decode_picture, encode_picture, picture_of, self_hint, shrink_to
from videocolor.datasets.pairs.manifest import SourceState, frame_name, pair_id
from videocolor.datasets.pairs.sampling import Choice, choose_pairs
from videocolor.datasets.pairs.scene import SceneLook, decide, look_at
from videocolor.datasets.pairs.settings import PairsConfig, SceneConfig, StoreConfig, settings_id
from videocolor.datasets.pairs.sources import Source
from videocolor.errors import InputError, UnsupportedVideoError
from videocolor.files import disk_errors
from videocolor.types import Array
from videocolor.video import open_video

__all__ = ["FrameStore", "work_on"]

_GRAY: Final = 2.0
"""Mean chroma (CIE a*b*) under which a source has no color to learn from."""
_FAINT: Final = 5.0
"""Mean chroma under which it is said to be faint."""

Tick = Callable[[int], None]


class FrameStore:
    """Writes frames into the data set; in the mode of references it writes nothing."""

    def __init__(self, folder: Path, settings: StoreConfig) -> None:
        self._folder = folder
        self._settings = settings
        self.files: dict[str, str] = {}
        """Name inside the data set -> sha256, of all that was put."""

    def put(self, sha256: str, pts: int, rgb: Array, *, warped: bool = False) -> None:
        """Store a frame once.

        Raises:
            OutputError: it cannot be written; a full disk is said to be one.
        """
        if self._settings.mode == "references":
            return
        name = frame_name(sha256, pts, warped=warped, suffix=SUFFIX[self._settings.format])
        if name in self.files:
            return
        data = encode_picture(rgb, self._settings)
        path = self._folder / name
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.files[name] = hashlib.sha256(data).hexdigest()


def work_on(source: Source, sha256: str, config: PairsConfig, store: FrameStore, tick: Tick) -> SourceState:
    """Make all pairs of a source.

    Args:
        source: film or picture.
        sha256: of its bytes.
        config: settings.
        store: takes the frames.
        tick: called with the number of frames decoded so far, over both passes.

    Raises:
        UnsupportedVideoError: the source is readable but not wanted; says why, and which setting would admit it.
        InputError: it cannot be read.
        OutputError: frames cannot be written.
    """
    if source.kind == "image":
        return _picture(source, sha256, config, store)
    return _film(source, sha256, config, store, tick)


def _picture(source: Source, sha256: str, config: PairsConfig, store: FrameStore) -> SourceState:
    rgb = shrink_to(decode_picture(source.data(), source.name), config.store.short_side)
    warnings = _color_warnings(source, [_chroma(rgb)])
    name = pair_id(sha256, 0, 0, Fraction(1))
    hint = self_hint(rgb, name)
    store.put(sha256, 0, rgb)
    store.put(sha256, 0, hint, warped=True)
    # Its geometry was changed on purpose, so only its colors are judged.
    scene = config.scene if config.scene.check == "histogram" else SceneConfig(check="histogram")
    distance, decision = decide(look_at(rgb), look_at(hint), scene)
    pair = _pair(name, 0, 0, 0.0, 1, distance, decision)
    print_ = fingerprint(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    return SourceState(
        **_about(source, sha256, config),
        time_base="1",
        frames=1,
        stamped_fps=0.0,
        true_fps=0.0,
        repeats=0.0,
        shots=1,
        prints=() if print_ is None else (f"{print_:016x}",),
        pairs=(pair,),
        files=store.files,
        warnings=tuple(warnings),
    )


def _film(source: Source, sha256: str, config: PairsConfig, store: FrameStore, tick: Tick) -> SourceState:
    look = look_at_film(source.path, config, tick)
    _admit(source, look, config)
    choices, skipped = choose_pairs(look.timeline, config.sampling, sha256)
    if not choices:
        raise UnsupportedVideoError(_too_short(source, look, config))
    pairs, chromas = _store_and_check(source, sha256, look, choices, config, store, tick)
    warnings = [*_color_warnings(source, chromas), *look.losses]
    if look.rate.repeats > 0:
        warnings.append(
            f"{look.rate.repeats:.1%} of its frames repeat the one before: "
            f"{look.rate.fps:.2f} frames a second by content, {look.rate.stamped:.2f} by timestamps"
        )
    return SourceState(
        **_about(source, sha256, config),
        time_base=str(look.info.time_base),
        frames=len(look.timeline.pts),
        stamped_fps=round(look.rate.stamped, 4),
        true_fps=round(look.rate.fps, 4),
        repeats=round(look.rate.repeats, 4),
        shots=len(look.timeline.starts),
        prints=tuple(f"{value:016x}" for value in look.prints),
        pairs=tuple(pairs),
        files=store.files,
        skipped=dict(skipped),
        warnings=tuple(warnings),
    )


def _about(source: Source, sha256: str, config: PairsConfig) -> dict[str, Any]:
    return {
        "source": source.name,
        "path": str(source.path.resolve()),
        "sha256": sha256,
        "kind": source.kind,
        "settings": settings_id(config),
        "origin": source.origin.name,
        "licence": source.origin.licence,
    }


def _admit(source: Source, look: FilmLook, config: PairsConfig) -> None:
    """Refuse what is black and white, damaged, or of too few frames a second."""
    if look.info.layout.kind == "gray":
        raise UnsupportedVideoError(f"{source.name}: is black and white; pairs need color footage")
    if look.losses and config.input.damaged == "skip":
        raise InputError(
            f"{source.name}: damaged: {'; '.join(look.losses[:3])}; use the rest with --set input.damaged=use"
        )
    reason = refusal(look.rate, config.input)
    if reason is not None:
        raise UnsupportedVideoError(f"{source.name}: {reason}")


def _too_short(source: Source, look: FilmLook, config: PairsConfig) -> str:
    line = look.timeline
    spans = [float((int(line.pts[end - 1]) - int(line.pts[start])) * line.time_base) for start, end in line.shots()]
    low = float(config.sampling.min_s)
    if max(spans) < low:
        smaller = max(0.1, max(spans) / 2)
        return (
            f"{source.name}: its longest shot lasts {max(spans):.2f} s, and the frames of a pair are at least "
            f"sampling.min_s = {low:g} s apart: give longer footage or --set sampling.min_s={smaller:.1g}"
        )
    return (
        f"{source.name}: no pair was drawn from shots of up to {max(spans):.2f} s at sampling.rate = "
        f"{config.sampling.rate:g} a second: raise it, or lower sampling.min_s"
    )


def _store_and_check(
    source: Source,
    sha256: str,
    look: FilmLook,
    choices: list[Choice],
    config: PairsConfig,
    store: FrameStore,
    tick: Tick,
) -> tuple[list[dict[str, Any]], list[float]]:
    """Run the second pass: store frames as they are decoded; keep 4 KB of each that still waits for a partner."""
    waiting = Counter(index for choice in choices for index in (choice.original, choice.hint))
    partners: dict[int, list[Choice]] = {}
    for choice in choices:
        partners.setdefault(max(choice.original, choice.hint), []).append(choice)
    looks: dict[int, SceneLook] = {}
    pairs: list[dict[str, Any]] = []
    chromas: list[float] = []
    line, first_pass, last = look.timeline, len(look.timeline.pts), max(partners)
    with open_video(source.path) as video:
        for frame in video:
            tick(first_pass + frame.index)
            if frame.index not in waiting:
                continue
            if frame.index >= first_pass or frame.pts != line.pts[frame.index]:
                raise InputError(f"{source.name}: gave other frames when it was read again; is it still being written?")
            rgb = picture_of(frame, video.info, config.store.short_side)
            store.put(sha256, frame.pts, rgb)
            looks[frame.index] = look_at(rgb)
            chromas.append(_chroma(rgb))
            for choice in partners.get(frame.index, ()):
                pairs.append(_film_pair(sha256, choice, look, looks, config))
                for index in (choice.original, choice.hint):
                    waiting[index] -= 1
                    if not waiting[index]:
                        looks.pop(index)
            if frame.index >= last:
                break
    if len(pairs) != len(choices):
        raise InputError(f"{source.name}: gave fewer frames when it was read again; is it still being written?")
    return sorted(pairs, key=lambda pair: (pair["original_pts"], pair["hint_pts"])), chromas


def _film_pair(
    sha256: str, choice: Choice, look: FilmLook, looks: dict[int, SceneLook], config: PairsConfig
) -> dict[str, Any]:
    base = look.info.time_base
    original, hint = (int(look.timeline.pts[index]) for index in (choice.original, choice.hint))
    distance, decision = decide(looks[choice.original], looks[choice.hint], config.scene)
    name = pair_id(sha256, original, hint, base)
    return _pair(name, original, hint, float((hint - original) * base), choice.shot + 1, distance, decision)


def _pair(
    name: str, original: int, hint: int, offset: float, shot: int, distance: float, decision: str
) -> dict[str, Any]:
    return {
        "pair_id": name,
        "original_pts": original,
        "hint_pts": hint,
        "offset_s": offset,
        "shot": shot,
        "distance": round(distance, 3),
        "decision": decision,
    }


def _chroma(rgb: Array) -> float:
    """Mean chroma of a picture, CIE a*b*."""
    small = cv2.resize(rgb, (48, 36), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    ab = rgb_to_lab(np.moveaxis(small, -1, 0))[1:]
    return float(np.hypot(ab[0], ab[1]).mean())


def _color_warnings(source: Source, chromas: Iterable[float]) -> list[str]:
    """Refuse what is stored in color and is gray; a warning where color is faint."""
    mean = float(np.mean(list(chromas)))
    if mean < _GRAY:
        raise UnsupportedVideoError(f"{source.name}: has no color (mean chroma {mean:.1f}); pairs need color footage")
    return [f"its color is faint (mean chroma {mean:.1f} of CIE a*b*)"] if mean < _FAINT else []
