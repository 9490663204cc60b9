"""Make the pictures of the README and of the gallery, and the gallery's page, out of the samples.

    python pipelines/gallery.py                     # all of it: docs/gallery.md, docs/images/gallery/, the README's two
    python pipelines/gallery.py --only chaplin      # entries whose name has this in it; the page keeps the others

Every entry is a command that is run as the page shows it. Painted frames are made by `PAINT`: flat areas, drawn by a
person in about a minute a frame, each filled with one color, as the bucket of any paint program does; luma stays the
film's. Times are CPU seconds of the command, start-up included. Run it again when the weights change, and look.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from PIL import Image

from videocolor.color import codes_to_luma, lab_to_rgb, rgb_to_lab
from videocolor.types import Array
from videocolor.video import open_video

ROOT: Final = Path(__file__).parent.parent
HEIGHT: Final = 216
BAR: Final = 22
Area = tuple[str, tuple[tuple[int, int], ...]]

PAINT: Final[dict[str, tuple[str, int, tuple[Area, ...]]]] = {
    "chaplin_60.png": (
        "bw_chaplin.mp4",
        60,
        (
            ("#bdb6a8", ((73, 0), (567, 0), (567, 359), (73, 359))),  # pavement, and all that is not painted below
            ("#9a7462", ((160, 0), (567, 0), (567, 90), (430, 95), (160, 98))),  # house
            ("#556a38", ((73, 0), (205, 8), (190, 75), (120, 108), (73, 100))),  # palms
            ("#4f6236", ((243, 0), (258, 0), (258, 96), (243, 96))),
            ("#4f6236", ((352, 70), (385, 55), (412, 100), (405, 142), (370, 130))),
            ("#4f6236", ((392, 0), (450, 0), (452, 60), (440, 96), (412, 96))),
            ("#4f6236", ((520, 5), (567, 0), (567, 102), (522, 102))),
            ("#64794a", ((90, 112), (300, 102), (418, 110), (412, 158), (300, 150), (180, 133), (73, 122))),  # lawns
            ("#64794a", ((73, 146), (128, 157), (130, 170), (73, 176))),
            ("#64794a", ((73, 198), (120, 188), (250, 186), (300, 195), (482, 244), (300, 266), (73, 270))),
            ("#64794a", ((524, 106), (567, 104), (567, 151), (524, 154))),
            ("#64794a", ((478, 190), (530, 172), (567, 174), (567, 208))),
            ("#c2ad8c", ((428, 38), (512, 34), (532, 182), (470, 187), (408, 178))),  # pillar
            ("#c2ad8c", ((454, 6), (470, 0), (488, 8), (486, 28), (456, 28))),
            ("#3a4a6c", ((128, 84), (160, 84), (176, 168), (170, 236), (117, 233), (122, 160))),  # policeman
            ("#3a4a6c", ((129, 230), (165, 232), (165, 328), (128, 330))),
            ("#66748f", ((139, 66), (142, 44), (158, 39), (171, 46), (177, 70))),
            ("#dba284", ((142, 68), (172, 72), (170, 88), (156, 94), (144, 82))),
            ("#2a2624", ((306, 70), (312, 46), (332, 40), (350, 46), (356, 74))),  # tramp
            ("#dba284", ((312, 74), (346, 74), (346, 96), (330, 106), (312, 98))),
            ("#312b2b", ((332, 98), (376, 102), (397, 168), (384, 208), (352, 204), (318, 168), (296, 182))),
            ("#75685a", ((312, 182), (340, 186), (376, 206), (374, 348), (312, 348), (304, 280))),
            ("#dba284", ((289, 178), (304, 174), (304, 196), (290, 198))),
            ("#dba284", ((360, 202), (378, 204), (376, 224), (360, 222))),
        ),
    ),
    "friday_64.png": (
        "bw_his_girl_friday_1940.mp4",
        64,
        (
            ("#c9b58c", ((8, 0), (632, 0), (632, 479), (8, 479))),  # wall
            ("#6a4a30", ((172, 24), (246, 22), (276, 40), (276, 112), (172, 112))),  # clock
            ("#e8dfc6", ((186, 68), (198, 44), (224, 42), (238, 66), (226, 94), (200, 96))),
            ("#7a5a3c", ((287, 138), (412, 138), (412, 350), (287, 350))),  # drawers
            ("#5b3a25", ((355, 286), (632, 280), (632, 479), (355, 479))),  # desk
            ("#f0e6cc", ((494, 250), (632, 246), (632, 284), (494, 284))),  # papers
            ("#4c3122", ((455, 96), (492, 88), (494, 160), (460, 156))),  # standing: hair, hat, suit, face, hands
            ("#7a3f49", ((384, 92), (414, 66), (414, 22), (470, 22), (470, 66), (494, 72), (470, 88), (420, 78))),
            (
                "#5f7c80",
                ((406, 150), (500, 150), (552, 238), (494, 250), (450, 284), (372, 352), (332, 346), (394, 220)),
            ),
            ("#dfa988", ((402, 92), (430, 80), (458, 88), (458, 128), (432, 148), (410, 138))),
            ("#dfa988", ((448, 256), (478, 248), (496, 252), (494, 276), (452, 278))),
            ("#dfa988", ((296, 352), (334, 344), (358, 372), (334, 384), (302, 372))),
            ("#7c5440", ((186, 194), (228, 178), (268, 184), (288, 218), (264, 300), (190, 312), (164, 280))),  # seated
            ("#dfa988", ((262, 200), (292, 232), (288, 274), (264, 282))),
            (
                "#56688f",
                ((164, 306), (238, 318), (300, 372), (352, 380), (350, 420), (270, 428), (240, 479), (160, 479)),
            ),
            ("#3a3228", ((20, 168), (84, 148), (184, 152), (186, 236), (142, 250), (136, 340), (20, 336))),  # left
            ("#3f5c4c", ((8, 336), (70, 340), (132, 479), (8, 479))),
            ("#e2d8c2", ((70, 340), (128, 346), (158, 470), (138, 472))),
        ),
    ),
}
"""Painted frame -> film, frame, areas in pixels of the frame with their colors; later areas lie over earlier ones."""


@dataclass(frozen=True)
class Entry:
    """One result: what is run, which frames are shown, and what a reader should look at."""

    name: str
    title: str
    film: str
    command: str
    look: str
    frames: tuple[int, ...]
    hint: str | None = None
    result: str = ""
    extra: tuple[str, ...] = field(default=())


ENTRIES: Final = (
    Entry(
        "chaplin_automatic",
        "Street, automatic",
        "bw_chaplin.mp4",
        "videocolor colorize samples/bw_chaplin.mp4 chaplin_automatic.mkv",
        "No hint. A proposal: pale, and never evidence of what the colors were.",
        (24, 120, 216),
    ),
    Entry(
        "chaplin_painted",
        "Street, one painted frame",
        "bw_chaplin.mp4",
        "videocolor colorize samples/bw_chaplin.mp4 chaplin_painted.mkv --hint 2.4=painted/chaplin_60.png",
        "The same ten seconds with frame 60 painted. Colors follow the men as they walk and turn.",
        (24, 120, 216),
        hint="chaplin_60.png",
    ),
    Entry(
        "friday_automatic",
        "Office, automatic",
        "bw_his_girl_friday_1940.mp4",
        "videocolor colorize samples/bw_his_girl_friday_1940.mp4 friday_automatic.mkv",
        "No hint. Faces are found; clothes get the commonest colors.",
        (18, 92, 166),
    ),
    Entry(
        "friday_painted",
        "Office, one painted frame",
        "bw_his_girl_friday_1940.mp4",
        "videocolor colorize samples/bw_his_girl_friday_1940.mp4 friday_painted.mkv --hint 2.133=painted/friday_64.png",
        "Frame 64 painted. The shot before and after it follows.",
        (18, 92, 166),
        hint="friday_64.png",
    ),
    Entry(
        "friday_bold",
        "Office, bolder",
        "bw_his_girl_friday_1940.mp4",
        "videocolor colorize samples/bw_his_girl_friday_1940.mp4 friday_bold.mkv --vividness 1",
        "Automatic color with `--vividness 1`: bolder, and more often wrong.",
        (18, 92, 166),
    ),
    Entry(
        "hawk_first_frame",
        "Hawk, true first frame as hint",
        "hawk_25fps.mp4",
        "videocolor colorize samples/hawk_25fps.mp4 hawk_first_frame.mkv --hint 0=samples/hawk_25fps.mp4@0",
        "A film whose colors are known; only the first frame's are given.",
        (25, 120, 240),
    ),
    Entry(
        "flower_first_frame",
        "Flower, true first frame as hint",
        "flower_opening_30fps.mp4",
        "videocolor colorize samples/flower_opening_30fps.mp4 flower_first_frame.mkv "
        "--hint 0=samples/flower_opening_30fps.mp4@0",
        "The flower opens; the new petals take the bud's red.",
        (20, 75, 140),
    ),
    Entry(
        "steel_cuts",
        "Six shots, a hint for each",
        "cuts_audio_tears_of_steel.mp4",
        "videocolor colorize samples/cuts_audio_tears_of_steel.mp4 steel_cuts.mkv --end 13 "
        + " ".join(f"--hint {t}=samples/cuts_audio_tears_of_steel.mp4@{t}" for t in ("1", "3.5", "5.8", "7.4", "10.8")),
        "A frame of the true film for each shot. Color changes at the cuts and nowhere else. "
        "(CC) Blender Foundation, mango.blender.org, CC BY 3.0.",
        (60, 140, 300),
    ),
    Entry(
        "london_automatic",
        "Station, automatic",
        "london_station_60fps.mp4",
        "videocolor colorize samples/london_station_60fps.mp4 london_automatic.mkv --end 4",
        "A gray day. Sky and roofs are tinted blue: a guess.",
        (20, 120, 220),
    ),
    Entry(
        "chaplin_saturation",
        "Street, less saturated",
        "bw_chaplin.mp4",
        "videocolor colorize samples/bw_chaplin.mp4 chaplin_saturation.mkv --hint 2.4=painted/chaplin_60.png "
        "--saturation 0.6",
        "One number makes a hand-tinted look of the painted film.",
        (24, 120, 216),
        hint="chaplin_60.png",
    ),
)


def read_frames(film: Path, numbers: set[int]) -> dict[int, Array]:
    """Return frames of a film by number, (h, w, 3) R'G'B' uint8."""
    from videocolor import frame_to_rgb

    found = {}
    with open_video(film) as video:
        for frame in video:
            if frame.index in numbers:
                found[frame.index] = np.rint(frame_to_rgb(frame) * 255).astype(np.uint8)
            if len(found) == len(numbers):
                break
    return found


def paint(name: str, folder: Path) -> None:
    """Write the painted frame `name`: the film's luma with the areas' chroma, less of it in the dark."""
    film, number, areas = PAINT[name]
    with open_video(ROOT / "samples" / film) as video:
        frame = next(frame for frame in video if frame.index == number)
    luma = np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1).astype(np.float32)
    lightness = rgb_to_lab(np.stack([luma] * 3))[0]
    ab, mask = np.zeros((2, *luma.shape), np.float32), np.zeros(luma.shape, np.uint8)
    for color, corners in areas:
        inside = np.zeros(luma.shape, np.uint8)
        cv2.fillPoly(inside, [np.array(corners, np.int32)], 1)
        rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
        own = rgb_to_lab(rgb[:, None, None])[:, 0, 0]
        shade = np.clip(lightness / own[0], 0, 1)
        ab = np.where(inside[None] > 0, own[1:, None, None] * shade[None], ab)
        mask |= inside
    rgb = np.clip(lab_to_rgb(np.concatenate([lightness[None], ab])), 0, 1)
    picture = np.dstack([np.rint(np.moveaxis(rgb, 0, -1) * 255).astype(np.uint8), mask * 255])
    folder.mkdir(exist_ok=True)
    Image.fromarray(picture).save(folder / name)


def run(entry: Entry, folder: Path) -> float:
    """Run an entry's command in `folder`; return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", *shlex.split(entry.command), "--overwrite"]
    subprocess.run(words, cwd=folder, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def cell(picture: Array, height: int = HEIGHT) -> Array:
    """Scale a picture to `height`."""
    width = 2 * round(picture.shape[1] * height / picture.shape[0] / 2)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def titled(picture: Array, title: str) -> Array:
    """Put a bar with a title over a picture."""
    bar = np.full((BAR, picture.shape[1], 3), 34, np.uint8)
    cv2.putText(bar, title, (6, BAR - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])


def gray_of(picture: Array) -> Array:
    """Show what a gray film of it would be."""
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def save(path: Path, picture: Array, quality: int = 84) -> None:
    """Write a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=quality, optimize=True, progressive=True)


def sheet(entry: Entry, folder: Path) -> Array:
    """Show an entry's frames: the film as the network sees it above, the result below; a painted frame first."""
    numbers = set(entry.frames)
    source = read_frames(ROOT / "samples" / entry.film, numbers)
    result = read_frames(folder / f"{entry.name}.mkv", numbers)
    above = [titled(cell(gray_of(source[n])), f"frame {n}") for n in entry.frames]
    below = [cell(result[n]) for n in entry.frames]
    if entry.hint:
        painted = cell(np.asarray(Image.open(folder / "painted" / entry.hint).convert("RGB")))
        above.insert(0, titled(painted, "painted frame"))
        below.insert(0, np.full_like(painted, 34))
    return np.vstack([np.hstack(above), np.hstack(below)])


def hero(folder: Path) -> Array:
    """Make the README's picture: a row a film; as it is, automatic, with the painted frame, and that frame."""
    rows = []
    for film, name, number, hint in (
        ("bw_chaplin.mp4", "chaplin", 120, "chaplin_60.png"),
        ("bw_his_girl_friday_1940.mp4", "friday", 92, "friday_64.png"),
    ):
        pictures = {
            "film": read_frames(ROOT / "samples" / film, {number})[number],
            "automatic": read_frames(folder / f"{name}_automatic.mkv", {number})[number],
            "with one painted frame": read_frames(folder / f"{name}_painted.mkv", {number})[number],
            "that frame, a minute's work": np.asarray(Image.open(folder / "painted" / hint).convert("RGB")),
        }
        cells = []
        for title, picture in pictures.items():
            middle = picture.shape[1] // 2
            square = picture[:, max(0, middle - picture.shape[0] * 2 // 3) : middle + picture.shape[0] * 2 // 3]
            cells.append(titled(cell(square), title))
        rows.append(np.hstack(cells))
    width = min(row.shape[1] for row in rows)
    return np.vstack([row[:, :width] for row in rows])


def wipe(folder: Path, path: Path) -> None:
    """Make the README's animation: the painted film behind a line that goes to and fro."""
    numbers = list(range(30, 230, 4))
    source = read_frames(ROOT / "samples/bw_chaplin.mp4", set(numbers))
    result = read_frames(folder / "chaplin_painted.mkv", set(numbers))
    frames = []
    for place, number in enumerate(numbers):
        before, after = (cell(film[number][:, 74:566], 288) for film in (source, result))
        line = round(before.shape[1] * (0.5 - 0.45 * np.sin(2 * np.pi * place / len(numbers))))
        shown = np.hstack([before[:, :line], after[:, line:]])
        shown[:, max(0, line - 1) : line + 1] = 255
        frames.append(Image.fromarray(shown))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=160, loop=0, quality=62, method=6)


def page(times: dict[str, float]) -> str:
    """Write the gallery's page."""
    parts = [
        "# Gallery",
        "Made by `python pipelines/gallery.py`, which runs each command as it is shown. The upper row is the film as\n"
        "the network sees it, the lower row the result. Times are CPU seconds, start-up included, on a busy machine\n"
        "with two cores.",
    ]
    for entry in ENTRIES:
        command = " \\\n    ".join(_wrapped(entry.command))
        painted = f" Painted frame: `PAINT` in the script, {entry.hint}." if entry.hint else ""
        took = f"{times[entry.name]:.0f} CPU seconds." if entry.name in times else ""
        parts += [
            f"## {entry.title}",
            f"```sh\n{command}\n```",
            f"![{entry.title}](images/gallery/{entry.name}.jpg)",
            "\n".join(_lines(f"{entry.look}{painted} {took}".strip())),
        ]
    return "\n\n".join(parts) + "\n"


def _wrapped(command: str) -> list[str]:
    lines, current = [], ""
    for word in command.split(" --"):
        piece = word if not current and not lines else f"--{word}"
        if current and len(current) + len(piece) > 100:
            lines.append(current)
            current = ""
        current = f"{current} {piece}".strip()
    return [*lines, current]


def _lines(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 118, break_long_words=False)


@click.command(help=__doc__)
@click.option("--docs", default=ROOT / "docs", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--only", default="", help="Entries whose name contains this; without it, all, and the README's pictures."
)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="A folder for the films; default: none.")
def main(docs: Path, only: str, keep: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = (keep or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "samples").exists():
            os.symlink(ROOT / "samples", folder / "samples")
        for name in PAINT:
            paint(name, folder / "painted")
        record = docs / "images/gallery/times.json"
        times = json.loads(record.read_text()) if record.exists() else {}
        for entry in ENTRIES:
            if only in entry.name:
                times[entry.name] = round(run(entry, folder), 1)
                save(docs / f"images/gallery/{entry.name}.jpg", sheet(entry, folder))
                record.write_text(json.dumps(times, indent=1) + "\n")
                click.echo(f"{entry.name}: {times[entry.name]} CPU s")
        (docs / "gallery.md").write_text(page(times))
        if not only:
            save(docs / "images/hero.jpg", hero(folder))
            wipe(folder, docs / "images/wipe.webp")


if __name__ == "__main__":
    main()
