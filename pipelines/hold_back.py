"""Choose what evaluation keeps for itself, before anything is trained.

    python pipelines/hold_back.py FOOTAGE -o configs/evaluate/held_back.yaml
    python pipelines/hold_back.py FOOTAGE -o configs/evaluate/held_back_more.yaml --only 'more_*'

FOOTAGE holds `train/manifest.csv` and `images/manifest.csv` (column `source`: owner/repository:path).
A source is held back when the first 8 bytes of sha256("videocolor:" + source), read as a fraction of
2**64, fall under the share given. Nobody chooses a clip, and adding footage never moves one that was
there before. Clips that show one scene under two sources (KIN below) stay on one side together. With --only the clips
are those of a pattern, and images are held back by the rule itself (`images_below`), not by a list.
"""

from __future__ import annotations

import csv
import hashlib
from fnmatch import fnmatch
from pathlib import Path

import click
import yaml

from videocolor.datasets.held_back import source_share

KIN = (
    ("skateboard_man_dog.mp4", "skateboarding_dog.mp4"),
    ("man_surfing.mp4", "man_surfing_b.mp4"),
    ("highway_dashcam.mp4", "highway_dashcam_2.mp4"),
    ("cherry_blossom.mp4", "cherry_blossom_60fps_tiny.mp4"),
    ("person_door.mp4", "campus_people.mp4"),
    ("asl_again.mp4", "asl_book.mp4", "asl_walk.mp4", "asl_sister.mp4"),
    ("pillow.mp4", "teddy.mp4", "backpack_stairs.mp4", "cat_lap.mp4"),
    ("redhead_gold.mp4", "redhead_girl.mp4"),
)


def choose(folder: Path, clips: float, images: float, only: str | None) -> dict[str, object]:
    """The held-back clips (with kin) and images of a footage folder."""
    rows = list(csv.DictReader((folder / "train" / "manifest.csv").open()))
    rows = [row for row in rows if only is None or fnmatch(row["file"], only)]
    held = {row["file"] for row in rows if source_share(row["source"]) < clips}
    held |= {file for kin in KIN if held & set(kin) for file in kin}
    return {
        "rule": f"sha256('videocolor:' + source)[:8] / 2**64 < {clips} (clips), < {images} (images)",
        "clips": [
            {
                "file": row["file"],
                "source": row["source"],
                "sha256": hashlib.sha256((folder / "train" / row["file"]).read_bytes()).hexdigest(),
            }
            for row in rows
            if row["file"] in held
        ],
    } | ({"images_below": images} if only else {"images": _images(folder, images)})


def _images(folder: Path, share: float) -> list[str]:
    rows = csv.DictReader((folder / "images" / "manifest.csv").open())
    return sorted(row["source"] for row in rows if source_share(row["source"]) < share)


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--clips", default=0.13, show_default=True, help="Share of clips to hold back.")
@click.option("--images", default=0.10, show_default=True, help="Share of images to hold back.")
@click.option("--only", metavar="PATTERN", help="Only clips whose file name matches.")
def main(footage: Path, output: Path, clips: float, images: float, only: str | None) -> None:
    chosen = choose(footage, clips, images, only)
    header = (
        "# Held back for evaluation: never trained on. Chosen by hash of the source name before any training\n"
        "# (pipelines/hold_back.py); data.root names the folder that holds train/ and images/.\n"
    )
    output.write_text(header + yaml.safe_dump(chosen, sort_keys=False, width=200))


if __name__ == "__main__":
    main()
