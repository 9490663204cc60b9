"""How long it takes to know which hint is for which shot.

    python benchmarks/dealing.py CLIPS [--most 130]

The clips stand for a film's shots, eight frames of each, and the middle one of these for its hint: once as painted
frames, which have a shot of their own, once as pictures that may belong anywhere.
"""

from __future__ import annotations

import time
from pathlib import Path

import av
import click
import cv2

from videocolor.motion.matching import scene_similarity
from videocolor.motion.similarity import thumbnail
from videocolor.types import Array


def views(path: Path, most: int = 8, every: int = 10) -> list[Array]:
    """(90, 160) uint8 luma of some frames."""
    found: list[Array] = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                found.append(thumbnail(frame.to_ndarray(format="gray")))
            if len(found) == most:
                break
    return found


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--most", default=130, show_default=True, help="Shots.")
def main(clips: Path, most: int) -> None:
    """Command line."""
    cv2.setNumThreads(1)
    shots = [views(path) for path in sorted(clips.glob("*.mp4"))[:most]]
    hints = [frames[len(frames) // 2] for frames in shots]
    for kind, own in (("painted frames", list(range(len(shots)))), ("loose pictures", [None] * len(shots))):
        began = time.process_time()
        table = scene_similarity(hints, shots, own)
        seconds = time.process_time() - began
        each, alike = 1000 * seconds / table.size, 100 * float((table >= 0.5).mean())
        click.echo(f"{len(hints)} {kind}, {len(shots)} shots: {seconds:.2f} CPU-s, {each:.3f} ms a pair")
        click.echo(f"  {alike:.1f} % of the pairs are alike")


if __name__ == "__main__":
    main()
