"""What each step of restoration costs beside decoding, and what it gains on synthetic damage.

    python benchmarks/restoration.py cost samples/bw_his_girl_friday_1940.mp4 samples/hawk_25fps.mp4
    python benchmarks/restoration.py gain samples/bw_his_girl_friday_1940.mp4 samples/bw_chaplin.mp4
    python benchmarks/restoration.py picture samples/bw_his_girl_friday_1940.mp4 -o before_after.jpg

cost: CPU-ms a frame on one thread, median of three passes over 60 frames; frames are dirty, scratched and flicker, for
deinterlace and telecine woven. `of decode` is the ratio to decoding the same film on one thread in the same run.

gain: PSNR of damaged samples before and after, mean change of undamaged ones in 8-bit levels, flicker of mean exposure
after against before; seeds 1, 2, 3. Figures and their discussion: docs/guides/restoration.md.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import damage

from videocolor.restoration import RestorationConfig, restore
from videocolor.types import Array
from videocolor.video import open_video

STEPS: dict[str, dict[str, Any]] = {
    "telecine": {"telecine": "restore"},
    "deinterlace": {"deinterlace": "on"},
    "deflicker": {"deflicker": True},
    "dust": {"dust": True},
    "everything": {"telecine": "restore", "deinterlace": "on", "deflicker": True, "dust": True},
}


def milliseconds(work: Callable[[], object], frames: int) -> float:
    """CPU-ms a frame, median of three."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken) / frames


def decode(film: Path, frames: int) -> None:
    with open_video(film, threads=1) as video:
        for _ in islice(video, frames):
            pass


def mended(lumas: list[Array], **settings: Any) -> list[Array]:
    return [frame.luma for frame in restore(iter(damage.frames_of(lumas)), RestorationConfig(**settings))]


@click.group(help=__doc__)
def main() -> None:
    cv2.setNumThreads(1)


@main.command()
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--frames", default=60, show_default=True)
def cost(films: tuple[Path, ...], frames: int) -> None:
    for film in films:
        clean = damage.read_lumas(film, 0, frames)
        shaky = damage.flicker(damage.dust(damage.scratches(clean, 1).damaged, 1, 20).damaged, 1)[0].damaged
        woven = damage.pulldown(clean[: frames * 2 // 5], "23")[0]
        woven += damage.interlace(clean[: (frames - len(woven)) * 2]).damaged
        base = milliseconds(lambda film=film: decode(film, frames), frames)
        h, w = clean[0].shape
        print(f"{film.name}, {w}x{h}: decode {base:.2f} ms a frame")
        for name, settings in STEPS.items():
            source = woven if name in ("telecine", "deinterlace") else shaky
            took = milliseconds(lambda s=source, c=settings: mended(s, **c), len(source))
            print(f"  {name:12s} {took:7.2f} ms  {took / base:6.2f} of decode")


@main.command()
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--first", default=20, show_default=True)
@click.option("--frames", default=40, show_default=True)
def gain(films: tuple[Path, ...], first: int, frames: int) -> None:
    for film in films:
        clean = damage.read_lumas(film, first, frames)
        print(film.name)
        for name, make in (("dust", damage.dust), ("scratches", damage.scratches)):
            amount = 20 if name == "dust" else 3
            report(name, [(d, mended(d.damaged, dust=True)) for d in (make(clean, seed, amount) for seed in (1, 2, 3))])
        both = [damage.interlace(clean, top) for top in (True, False)]
        report("deinterlace", [(d, mended(d.damaged, deinterlace="on")) for d in both])
        woven, shown = damage.pulldown(clean[::2], "23")
        truth = damage.Damaged([clean[::2][k] for k in shown], woven)
        report("telecine", [(truth, mended(woven, telecine="restore"))])
        ratios = []
        for seed in (1, 2, 3):
            shaky = damage.flicker(clean, seed)[0].damaged
            true, before, after = (
                np.array([luma.mean() for luma in lumas]) for lumas in (clean, shaky, mended(shaky, deflicker=True))
            )
            ratios.append(np.std(after / true - 1) / np.std(before / true - 1))
        print(f"  deflicker    flicker of mean exposure falls to {np.mean(ratios):.3f} (worst seed {max(ratios):.3f})")
        for name, settings in STEPS.items():
            changed = np.mean(
                [np.abs(a.astype(int) - b).mean() for a, b in zip(clean, mended(clean, **settings), strict=True)]
            )
            print(f"  {name:12s} on the film as it is: mean change {changed:.3f} levels")


@main.command()
@click.argument("film", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def picture(film: Path, output: Path) -> None:
    """Dust and scratches, before and after; the eleventh of 21 frames."""
    clean = damage.read_lumas(film, 60, 21)
    dirty = damage.dust(damage.scratches(clean, 2).damaged, 5, 25).damaged
    cv2.imwrite(str(output), np.hstack([dirty[10], mended(dirty, dust=True)[10]]), [cv2.IMWRITE_JPEG_QUALITY, 88])


def report(name: str, cases: list[tuple[damage.Damaged, list[Array]]]) -> None:
    """One line: PSNR of damaged samples before and after, and mean change of the others."""
    gains, befores, harms = [], [], []
    for film, made in cases:
        masks = film.masks
        befores.append(damage.psnr(film.clean, film.damaged, masks))
        gains.append(damage.psnr(film.clean, made, masks) - befores[-1])
        harms += [np.abs(a.astype(int) - b)[~mask].mean() for a, b, mask in zip(film.clean, made, masks, strict=True)]
    print(
        f"  {name:12s} {np.mean(befores):5.1f} dB, gains {np.mean(gains):5.1f} (worst {min(gains):.1f}); "
        f"undamaged change by {np.mean(harms):.3f} levels"
    )


if __name__ == "__main__":
    main()
