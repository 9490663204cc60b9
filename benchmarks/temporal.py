"""What cuts, likeness, motion, fusion over time and chroma upsampling cost and how good they are.

    python benchmarks/temporal.py cuts FOLDER...        errors of the cut detector, on clips and spliced clips
    python benchmarks/temporal.py likeness FOLDER...    same-shot pairs against pairs of different films
    python benchmarks/temporal.py fuse CLIP...          color carried from anchors; flicker and noise
    python benchmarks/temporal.py upsample CLIP...      color error at edges, guided beside bilinear
    python benchmarks/temporal.py cost                  CPU milliseconds of every piece, one thread

Figures and their discussion: docs/research/motion.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.color import deltaE_ciede2000

from videocolor.color import rgb_to_lab
from videocolor.motion.flow import FlowEstimator, consistency, warp
from videocolor.motion.similarity import shot_similarity
from videocolor.pipeline.smoothing import KalmanSmoother, Observation, moment_of
from videocolor.pipeline.upsample import bilinear_chroma, plane_luma, upsample_chroma
from videocolor.shots.detect import CutFinder
from videocolor.types import Array

AREA = 288 * 160


def lumas(path: Path) -> Array:
    """(n, h, w) uint8 luma of a clip at about 288x160."""
    frames = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            gray = frame.to_ndarray(format="gray")
            frames.append(cv2.resize(gray, size_of(*gray.shape), interpolation=cv2.INTER_AREA))
    return np.stack(frames)


def size_of(height: int, width: int, area: int = AREA) -> tuple[int, int]:
    scale = min(1.0, (area / (width * height)) ** 0.5)
    return max(16, round(width * scale)), max(16, round(height * scale))


def pictures(path: Path, count: int, shrink: int = 1) -> Iterator[tuple[Array, Array]]:
    """(luma (h, w) in 0..1, Lab (3, h, w)) of the first frames; `shrink` undoes chroma subsampling."""
    with av.open(str(path)) as film:
        for index, frame in enumerate(film.decode(video=0)):
            if index >= count:
                return
            rgb = frame.to_ndarray(format="rgb24").astype(np.float32) / 255
            size = (rgb.shape[1] // shrink, rgb.shape[0] // shrink) if shrink > 1 else size_of(*rgb.shape[:2])
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
            yield luma, rgb_to_lab(rgb.transpose(2, 0, 1)).astype(np.float32)


def clips(folders: list[str]) -> list[Path]:
    return [p for f in folders for p in (sorted(Path(f).glob("*.mp4")) if Path(f).is_dir() else [Path(f)])]


def find(frames: list[Array] | Array) -> list[int]:
    finder = CutFinder()
    return [cut for frame in frames for cut in finder.push(frame)] + finder.finish()


def cuts(paths: list[Path], splices: int = 600) -> None:
    films = {path.stem: lumas(path) for path in paths}
    frames = sum(len(f) for f in films.values())
    begin = time.thread_time()
    found = {name: find(film) for name, film in films.items()}
    cost = (time.thread_time() - begin) / frames * 1e3
    print(f"{len(films)} clips, {frames} frames, {cost:.2f} ms a frame; cuts:")
    for name, where in found.items():
        if where:
            print(f"  {name}: {where}")
    rng, names = np.random.default_rng(1), sorted(films)
    missed = false = 0
    for _ in range(splices):
        parts = []
        for name in rng.choice(names, 2, replace=False):
            start = int(rng.integers(0, max(1, len(films[name]) - 12)))
            parts.append([cv2.resize(f, (144, 90)) for f in films[name][start : start + 12]])
        where = find(parts[0] + parts[1])
        missed += len(parts[0]) not in where
        false += len([cut for cut in where if cut != len(parts[0])])
    print(f"{splices} random splices of 12 + 12 frames: {missed} missed, {false} false")


def likeness(paths: list[Path]) -> None:
    rng = np.random.default_rng(0)
    films = {path.stem: lumas(path) for path in paths}
    films = {name: film for name, film in films.items() if not find(film)}
    rates = {path.stem: float(av.open(str(path)).streams.video[0].average_rate or 25) for path in paths}
    same = []
    for name, film in films.items():
        for _ in range(12):
            gap = int(rng.uniform(1, 5) * rates[name])
            if len(film) > gap:
                at = int(rng.integers(0, len(film) - gap))
                same.append(shot_similarity(film[at], film[at + gap]))
    names, other = sorted(films), []
    for _ in range(3000):
        a, b = (films[name] for name in rng.choice(names, 2, replace=False))
        other.append(shot_similarity(a[rng.integers(len(a))], b[rng.integers(len(b))]))
    ranks = np.argsort(np.argsort(np.concatenate([same, other])))[: len(same)]
    auc = (ranks.sum() - len(same) * (len(same) - 1) / 2) / (len(same) * len(other))
    print(f"{len(same)} pairs of one shot 1-5 s apart, {len(other)} pairs of different films: AUC {auc:.4f}")
    for limit in (0.3, 0.5, 0.8):
        hit, false = np.mean(np.array(same) > limit), np.mean(np.array(other) > limit)
        print(f"  likeness > {limit}: {100 * hit:.1f} % of the same, {100 * false:.2f} % of the different")


def network_noise(ab: Array, rng: np.random.Generator) -> Array:
    """What a per-frame network does to the truth: drifting blotches (sigma 4), a shift of each frame (2)."""
    out, blotch = np.empty_like(ab), None
    for t in range(len(ab)):
        fresh = rng.normal(0, 1, (5, 9, 2)).astype(np.float32)
        fresh = cv2.resize(fresh, ab.shape[:1:-1], interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
        blotch = fresh if blotch is None else np.float32(0.7) * blotch + np.float32(0.714) * fresh
        out[t] = ab[t] + 4 * blotch + rng.normal(0, 2, (2, 1, 1)).astype(np.float32)
    return out


def fused(gray: Array, seen: Mapping[int, Observation], window: int = 32) -> Array:
    smoother, flow = KalmanSmoother(), FlowEstimator()
    pictures = [flow.prepare(luma) for luma in gray]
    motions = [None, *(flow.motion(a, b) for a, b in pairwise(pictures))]
    waiting, out = [], []
    for t, (luma, motion) in enumerate(zip(gray, motions, strict=True)):
        waiting.append(moment_of(luma, motion))
        if t in seen:
            smoother.observe(waiting[-1], *seen[t])
        if t % window == window - 1:
            count = smoother.delay.ready(len(waiting))
            out += smoother.smooth(waiting, count)
            del waiting[:count]
    return np.stack(out + smoother.smooth(waiting, len(waiting), last=True))


def flicker(gray: Array, ab: Array) -> float:
    """Mean |ab(t) - warp(ab(t-1))| of unoccluded pixels, by a flow (DIS medium) of its own."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    values = []
    for t in range(1, len(gray)):
        start = np.zeros((*gray[t].shape, 2), np.float32)
        flow, back = (dis.calc(a, b, start.copy()) for a, b in ((gray[t], gray[t - 1]), (gray[t - 1], gray[t])))
        seen = consistency(flow, back, gray[t], gray[t - 1]) > 0.5
        values.append(float(np.abs(ab[t] - warp(ab[t - 1], flow)).mean(axis=0)[seen].mean()))
    return float(np.mean(values))


def fuse(paths: list[Path], count: int = 48) -> None:
    rows = []
    for path in paths:
        luma, lab = (np.stack(x) for x in zip(*pictures(path, count), strict=True))
        gray, truth = np.rint(luma * 255).astype(np.uint8), lab[:, 1:]
        noisy = network_noise(truth, np.random.default_rng(1))

        def off(ab: Array, lab: Array = lab) -> float:
            # Frames 2, 6, 10...: none is an anchor.
            tested = np.concatenate([lab[2::4, :1], ab[2::4]], axis=1)
            return float(deltaE_ciede2000(np.moveaxis(lab[2::4], 1, -1), np.moveaxis(tested, 1, -1)).mean())

        def psnr(ab: Array, truth: Array = truth) -> float:
            return float(20 * np.log10(255) - 10 * np.log10(np.mean((ab - truth) ** 2)))

        def run(ab: Array, every: int, gray: Array = gray) -> Array:
            return fused(gray, {t: (ab[t], 1.0) for t in range(0, len(ab), every)})

        held = [np.repeat(truth[::n], n, axis=0)[: len(truth)] for n in (4, 8)]
        calm = [run(noisy, 1), run(noisy, 4)]
        carried = [off(run(truth, 4)), off(held[0]), off(run(truth, 8)), off(held[1])]
        moved = [flicker(gray, x) for x in (truth, noisy, *calm)]
        rows.append([*carried, *moved, *(psnr(x) for x in (noisy, *calm))])
        print(f"{path.stem:28}", " ".join(f"{v:6.2f}" for v in rows[-1]), flush=True)
    print("carried dE00: every 4, held, every 8, held; flicker: truth, noisy, every 1, every 4; PSNR ab: same")
    print(f"{'mean':28}", " ".join(f"{v:6.2f}" for v in np.mean(rows, axis=0)))


def upsample(paths: list[Path]) -> None:
    for ratio in (1.8, 3.6):
        rows = []
        for path in paths:
            luma, lab = list(pictures(path, 6, shrink=2))[-1]
            size = (round(luma.shape[1] / ratio), round(luma.shape[0] / ratio))
            small = np.stack([cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in lab[1:]])
            guide = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
            edges = np.zeros(luma.shape, bool)
            for channel in lab[1:]:
                level = cv2.GaussianBlur(np.clip(channel + 128, 0, 255), (0, 0), 1.0).astype(np.uint8)
                edges |= cv2.Canny(level, 15, 40) > 0
            reach = 2 * max(1, round(3 * luma.shape[0] / 480)) + 1
            band = cv2.dilate(edges.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
            if band.mean() < 0.002:
                continue
            row = []
            for ab in (bilinear_chroma(small, luma.shape), upsample_chroma(small, guide, luma)):
                tested = np.concatenate([lab[:1], ab])
                error = deltaE_ciede2000(np.moveaxis(lab, 0, -1), np.moveaxis(tested, 0, -1))
                row += [float(error[band].mean()), float(error.mean())]
            rows.append(row)
        mean, wins = np.mean(rows, axis=0), sum(r[2] < r[0] for r in rows)
        print(
            f"1/{ratio}: dE00 at edges bilinear {mean[0]:.3f}, guided {mean[2]:.3f} "
            f"(better on {wins} of {len(rows)}); whole picture {mean[1]:.3f}, {mean[3]:.3f}"
        )


def cost() -> None:
    rng = np.random.default_rng(0)
    base = cv2.GaussianBlur(rng.uniform(0, 255, (200, 400)), (0, 0), 3) * 8 % 255
    frames = [np.ascontiguousarray(base[20:180, 2 * t : 2 * t + 288].astype(np.uint8)) for t in range(48)]
    ab = rng.normal(0, 20, (2, 160, 288)).astype(np.float32)
    estimator = FlowEstimator()
    a, b = estimator.prepare(frames[0]), estimator.prepare(frames[1])

    def report(name: str, work: Callable[[], object], per: int = 1) -> None:
        work()
        times = []
        for _ in range(max(3, 15 // per)):
            begin = time.thread_time()
            work()
            times.append(time.thread_time() - begin)
        print(f"{name:48} {np.median(times) / per * 1e3:6.2f} ms")

    report("cut finder, a frame", lambda: find(frames), len(frames))
    report("motion both ways with trust", lambda: estimator.motion(a, b))
    for every in (1, 4):
        seen: dict[int, Observation] = {t: (ab, 1.0) for t in range(0, 48, every)}
        report(f"fusion, colors every {every}, a frame", lambda seen=seen: fused(frames, seen), 48)
    for w, h in ((427, 240), (960, 540)):
        luma = rng.random((h, w)).astype(np.float32)
        small = rng.random((160, 288)).astype(np.float32)
        report(f"guided upsampling to {w}x{h}", lambda s=small, x=luma: upsample_chroma(ab, s, x))
        report(f"bilinear to {w}x{h}", lambda shape=(h, w): bilinear_chroma(ab, shape))
        stored = rng.integers(0, 255, (2 * h, 2 * w - w % 2)).astype(np.uint8)
        report(f"plane luma for {w}x{h}", lambda y=stored, size=(w, h): plane_luma(y, 8, "limited", size))


def main(arguments: list[str]) -> int:
    cv2.setNumThreads(1)
    tasks = {"cuts": cuts, "likeness": likeness, "fuse": fuse, "upsample": upsample}
    if arguments[:1] == ["cost"]:
        cost()
    elif len(arguments) > 1 and arguments[0] in tasks:
        tasks[arguments[0]](clips(arguments[1:]))
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
