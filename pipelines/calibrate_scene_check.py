"""Find the thresholds of the scene check on real footage, and say how often they are wrong.

    python pipelines/calibrate_scene_check.py FOOTAGE -o docs/images/pairs_roc.png [--json FILE]

FOOTAGE holds `train/` with clips. Pairs of one shot, 1-5 s apart, are set against pairs of two clips. Held-back clips
are left out, so are clips that look alike. Cuts are found as `pairs build` finds them.

1. half of the clips (by hash of their names) choose the thresholds: `accept` lets one in a hundred pairs of two clips
   pass, `reject` turns one in a hundred pairs of one shot away;
2. the other half says how often these thresholds are wrong;
3. AUC of both checks and of other sizes and color spaces, over all pairs, over those where the camera panned or
   zoomed by a tenth and more (measured with SIFT and RANSAC), and over made pans and zooms of known extent.

The picture shows the ROC curves. The thresholds are `THRESHOLDS` in videocolor/pairs/scene.py.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from scipy.stats import rankdata
from tqdm import tqdm

from videocolor.config import ColorizeConfig
from videocolor.datasets.pairs.first_pass import film_prints
from videocolor.datasets.pairs.frames import picture_of
from videocolor.datasets.pairs.scene import THRESHOLDS, SceneLook, histogram_distance, look_at, scene_delta
from videocolor.datasets.pairs.settings import SplitConfig
from videocolor.datasets.pairs.splits import group_near_duplicates, held_back_of
from videocolor.errors import VideocolorError
from videocolor.shots.scan import scan_film
from videocolor.video import open_video

Array = np.ndarray[Any, Any]
EVERY = 0.25
"""Seconds between the frames that are looked at."""
PER_CLIP = 12
"""Pairs of one shot taken from a clip, at most."""
CROSS = 3
"""Pairs of two clips for each pair of one shot."""


@dataclass
class View:
    """A frame."""

    seconds: float
    shot: int
    rgb: Array
    look: SceneLook


@dataclass
class Pair:
    """Two frames, and how the camera moved between them where that could be measured."""

    clips: tuple[str, str]
    a: View
    b: View
    pan: float | None = None
    zoom: float | None = None


def read_clips(folder: Path) -> dict[str, list[View]]:
    """Frames of every clip that may be looked at."""
    held = held_back_of(SplitConfig())
    clips: dict[str, list[View]] = {}
    for path in tqdm(sorted((folder / "train").glob("*.mp4")), desc="clips", unit="clip"):
        if path.name in held.files:
            continue
        try:
            starts = [view.shot.start for view in scan_film(path, ColorizeConfig()).shots]
            clips[path.name] = list(_views(path, starts))
        except VideocolorError as error:
            tqdm.write(f"left out: {error}")
    return clips


def _views(path: Path, starts: Sequence[int]) -> Any:
    due = float("-inf")
    with open_video(path) as video:
        for frame in video:
            if frame.seconds >= due:
                due = frame.seconds + EVERY - 1e-3
                rgb = picture_of(frame, video.info, 256)
                yield View(frame.seconds, sum(start <= frame.index for start in starts), rgb, look_at(rgb))


def one_shot(clips: dict[str, list[View]], rng: random.Random) -> list[Pair]:
    """Pairs 1-5 s apart."""
    pairs = []
    for name, views in sorted(clips.items()):
        fit = [(a, b) for a, b in combinations(views, 2) if a.shot == b.shot and 1 <= b.seconds - a.seconds <= 5]
        rng.shuffle(fit)
        pairs += [Pair((name, name), a, b, *camera(a.rgb, b.rgb)) for a, b in fit[:PER_CLIP]]
    return pairs


def two_clips(clips: dict[str, list[View]], alike: list[set[str]], count: int, rng: random.Random) -> list[Pair]:
    """Pairs of two clips that do not look alike."""
    names = sorted(clips)
    pairs: list[Pair] = []
    while len(pairs) < count:
        one, other = rng.sample(names, 2)
        if not any(one in group and other in group for group in alike):
            pairs.append(Pair((one, other), rng.choice(clips[one]), rng.choice(clips[other])))
    return pairs


def camera(a: Array, b: Array) -> tuple[float | None, float | None]:
    """(shift of the middle as a share of the side, |log scale|) between two frames; None where nothing fits."""
    sift, grays = cv2.SIFT_create(400), [cv2.cvtColor(cv2.resize(x, (192, 192)), cv2.COLOR_RGB2GRAY) for x in (a, b)]
    (points, words), (others, other_words) = (sift.detectAndCompute(gray, None) for gray in grays)
    if words is None or other_words is None or min(len(points), len(others)) < 8:
        return None, None
    near = cv2.BFMatcher().knnMatch(words, other_words, 2)
    good = [m[0] for m in near if len(m) == 2 and m[0].distance < 0.8 * m[1].distance]
    if len(good) < 8:
        return None, None
    source = np.array([points[m.queryIdx].pt for m in good], np.float32)
    target = np.array([others[m.trainIdx].pt for m in good], np.float32)
    matrix, inside = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=3)
    if matrix is None or int(inside.sum()) < 10:
        return None, None
    middle = matrix @ np.array([96.0, 96.0, 1.0])
    return float(np.abs(middle - 96).max() / 192), float(abs(np.log(np.hypot(matrix[0, 0], matrix[0, 1]))))


def plain(size: int, lab: bool) -> Callable[[Pair], float]:
    """The Euclidean distance at another size and in R'G'B' or Lab, to compare with."""

    def thumb(rgb: Array) -> Array:
        small = cv2.resize(rgb.astype(np.float32) / np.float32(255), (size, size), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGB2LAB) if lab else small

    return lambda pair: float(np.sqrt(((thumb(pair.a.rgb) - thumb(pair.b.rgb)) ** 2).sum(axis=-1).mean()))


def warped(pair: Pair) -> float:
    """The Euclidean distance after dense optical flow (DIS) at 64x64, to compare with."""
    a, b = (cv2.resize(v.rgb, (64, 64), interpolation=cv2.INTER_AREA) for v in (pair.a, pair.b))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        *(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (a, b)), None
    )
    ys, xs = np.mgrid[0:64, 0:64].astype(np.float32)
    moved = cv2.remap(b, xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return scene_delta(look_at(a), look_at(moved))


CHECKS: dict[str, Callable[[Pair], float]] = {
    "distance": lambda pair: scene_delta(pair.a.look, pair.b.look),
    "histogram": lambda pair: histogram_distance(pair.a.look, pair.b.look),
    "Lab 16x16": plain(16, True),
    "Lab 32x32": plain(32, True),
    "R'G'B' 8x8": plain(8, False),
    "R'G'B' 16x16": plain(16, False),
    "after optical flow": warped,
}


def auc(same: Array, cross: Array) -> float:
    """How often a pair of one scene is nearer than a pair of two (Mann-Whitney)."""
    ranks = rankdata(np.concatenate([same, cross]))
    return float(1 - (ranks[: len(same)].sum() - len(same) * (len(same) + 1) / 2) / (len(same) * len(cross)))


def made(clips: dict[str, list[View]], pan: float, zoom: float, rng: random.Random) -> list[Pair]:
    """A window of a frame against the window moved by a share of its width, or enlarged."""
    pairs = []
    for name, views in sorted(clips.items()):
        rgb = rng.choice(views).rgb
        height, width = rgb.shape[:2]
        w, h = int(width * 0.62), int(height * 0.62)
        left, top = int((width - w * (1 + pan)) / 2), (height - h) // 2
        a = rgb[top : top + h, left : left + w]
        x, (zw, zh) = left + int(pan * w), (int(w / zoom), int(h / zoom))
        b = rgb[top + (h - zh) // 2 :, x + (w - zw) // 2 :][:zh, :zw]
        pairs.append(Pair((name, name), *(View(0.0, 0, part, look_at(part)) for part in (a, b))))
    return pairs


def values(check: str, pairs: Sequence[Pair]) -> Array:
    return np.array([CHECKS[check](pair) for pair in pairs])


def half(name: str) -> int:
    """0 or 1: which half a clip belongs to."""
    return hashlib.sha256(f"calibrate:{name}".encode()).digest()[0] & 1


def thresholds(check: str, same: list[Pair], cross: list[Pair]) -> dict[str, float]:
    """Thresholds from one half of the clips; on the other half, what the shipped ones do."""
    fit = [values(check, [p for p in pairs if {half(c) for c in p.clips} == {0}]) for pairs in (same, cross)]
    test = [values(check, [p for p in pairs if {half(c) for c in p.clips} == {1}]) for pairs in (same, cross)]
    accept, reject = float(np.quantile(fit[1], 0.01)), float(np.quantile(fit[0], 0.99))
    shipped = dict(zip(("shipped_accept", "shipped_reject"), THRESHOLDS[check], strict=True))
    found = {"accept": accept, "reject": max(accept, reject), **shipped}
    found |= {"one_shot_pairs": len(test[0]), "two_clip_pairs": len(test[1])}
    return found | rates(test[0], test[1], THRESHOLDS[check])


def rates(same: Array, cross: Array, limits: tuple[float, float]) -> dict[str, float]:
    """Outcomes at the shipped thresholds."""
    accept, reject = limits
    return {
        "one_shot_accepted": float((same <= accept).mean()),
        "one_shot_rejected": float((same > reject).mean()),
        "two_clips_accepted": float((cross <= accept).mean()),
        "two_clips_rejected": float((cross > reject).mean()),
    }


def draw(path: Path, curves: dict[str, tuple[Array, Array]]) -> None:
    """ROC curves; the horizontal axis is logarithmic, for the left end is what counts."""
    size, left, bottom = (620, 900), 90, 80
    picture = np.full((*size, 3), 255, np.uint8)
    width, height = size[1] - left - 30, size[0] - bottom - 30
    ink, font = (60, 60, 60), cv2.FONT_HERSHEY_SIMPLEX

    def place(false: float, true: float) -> tuple[int, int]:
        x = left + int(width * (np.log10(max(false, 1e-3)) + 3) / 3)
        return x, 30 + int(height * (1 - (max(true, 0.5) - 0.5) / 0.5))

    for false in (0.001, 0.01, 0.1, 1.0):
        x, _ = place(false, 1)
        cv2.line(picture, (x, 30), (x, 30 + height), (225, 225, 225), 1)
        cv2.putText(picture, f"{false:g}", (x - 18, size[0] - bottom + 22), font, 0.5, ink, 1, cv2.LINE_AA)
    for true in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        _, y = place(1, true)
        cv2.line(picture, (left, y), (left + width, y), (225, 225, 225), 1)
        cv2.putText(picture, f"{true:g}", (left - 42, y + 5), font, 0.5, ink, 1, cv2.LINE_AA)
    cv2.putText(
        picture, "share of two-clip pairs accepted", (left + 240, size[0] - 25), font, 0.55, ink, 1, cv2.LINE_AA
    )
    cv2.putText(picture, "share of one-shot pairs accepted", (left, 20), font, 0.55, ink, 1, cv2.LINE_AA)
    colors = [(40, 40, 200), (40, 40, 200), (190, 120, 20), (190, 120, 20)]
    for number, (name, (same, cross)) in enumerate(curves.items()):
        cuts = np.unique(np.concatenate([same, cross]))
        points = np.array([place(float((cross <= c).mean()), float((same <= c).mean())) for c in cuts], np.int32)
        _curve(picture, points, colors[number % 4], dashed=number % 2 == 1)
        y = 30 + height - 100 + 24 * number
        _curve(picture, np.array([[left + 390, y], [left + 440, y]], np.int32), colors[number % 4], number % 2 == 1)
        text = f"{name}: AUC {auc(same, cross):.4f}"
        cv2.putText(picture, text, (left + 455, y + 5), font, 0.5, ink, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(path), picture):
        raise click.ClickException(f"{path}: cannot be written")


def _curve(picture: Array, points: Array, color: tuple[int, int, int], dashed: bool) -> None:
    dense = np.concatenate([np.linspace(a, b, 2 + int(np.abs(b - a).max())) for a, b in pairwise(points)])
    steps = np.concatenate([[0], np.cumsum(np.abs(np.diff(dense, axis=0)).max(axis=1))])
    for point, step in zip(dense.astype(int), steps, strict=True):
        if not dashed or step % 14 < 8:
            cv2.circle(picture, (int(point[0]), int(point[1])), 1, color, -1, cv2.LINE_AA)


def measure(clips: dict[str, list[View]], alike: list[set[str]], seed: int) -> tuple[dict[str, Any], Any]:
    """All figures, and the curves to draw."""
    rng = random.Random(seed)
    same = one_shot(clips, rng)
    cross = two_clips(clips, alike, CROSS * len(same), rng)
    moved = {
        "pans of a tenth and more": [p for p in same if p.pan is not None and p.pan >= 0.1],
        "pans of a quarter and more": [p for p in same if p.pan is not None and p.pan >= 0.25],
        "zooms of a tenth and more": [p for p in same if p.zoom is not None and p.zoom >= 0.1],
    }
    for share in (0.1, 0.2, 0.4, 0.6):
        moved[f"made pan of {share:g}"] = made(clips, share, 1.0, rng)
    for factor in (1.25, 1.5, 2.0):
        moved[f"made zoom of {factor:g}"] = made(clips, 0.0, factor, rng)
    found: dict[str, Any] = {"clips": len(clips), "one_shot": len(same), "two_clips": len(cross)}
    found |= {"auc": {}, "quantiles": {}, "accepted": {}}
    found["counts"] = {name: len(pairs) for name, pairs in moved.items()}
    curves = {}
    for check in CHECKS:
        far = values(check, cross)
        near = values(check, same)
        found["auc"][check] = {"all": auc(near, far)}
        measured = {name: values(check, pairs) for name, pairs in moved.items()}
        found["auc"][check] |= {name: auc(found_values, far) for name, found_values in measured.items()}
        if check in THRESHOLDS:
            found["quantiles"][check] = {
                name: [float(q) for q in np.quantile(v, (0.05, 0.5, 0.95))] for name, v in (("one", near), ("two", far))
            }
            found["accepted"][check] = {name: float((v <= THRESHOLDS[check][0]).mean()) for name, v in measured.items()}
        if check in ("distance", "histogram"):
            weak = values(check, moved["pans of a tenth and more"] + moved["zooms of a tenth and more"])
            curves |= {f"{check}, all": (near, far), f"{check}, pans and zooms": (weak, far)}
    found["thresholds"] = {check: thresholds(check, same, cross) for check in ("distance", "histogram")}
    return found, curves


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "record", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures.")
@click.option("--seed", default=1, show_default=True)
def main(footage: Path, output: Path, record: Path | None, seed: int) -> None:
    clips = read_clips(footage)
    prints = {name: film_prints(footage / "train" / name) for name in clips}
    found, curves = measure(clips, group_near_duplicates(prints, SplitConfig().likeness), seed)
    draw(output, curves)
    text = json.dumps(found, indent=1)
    if record is not None:
        record.write_text(text + "\n")
    click.echo(text)


if __name__ == "__main__":
    main()
