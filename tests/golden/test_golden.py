"""Decoded samples of many small films are those of the reference commit, run beside this tree on the same machine."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest
from golden.cases import COARSE, SMALL, WEIGHTS, Case, make_cases, quick_cases
from golden.films import make_film, make_network, make_picture, planes_of
from numpy.typing import NDArray

from videocolor.chromatable import chroma_atlas
from videocolor.types import Matrix

pytest.importorskip("scenedetect", reason="the reference needs it")

REFERENCE = "5b32692cf775d2c05a8bf641a31f4ebf508cc31e"
RUNNER = Path(__file__).parent / "runner.py"
COUNT = 200
AT_ONCE = 40
"""Cases a process: start-up is paid once for them, and what they leave in the heap does not add up for long."""
MEANT_TO_CHANGE: dict[str, str] = (
    dict.fromkeys(
        ("large-0", "large-2", "large-3", "large-4"),
        "the working size is decided shot by shot: shots without the reference frame are seen smaller",
    )
    | dict.fromkeys(("spots-*", "many-*", "split-5"), "scribbles govern the thing they are on")
    | dict.fromkeys(("woven-0", "woven-3", "woven-6"), "FFmpeg's bwdif deinterlaces")
)
"""Ids of cases (or patterns of them) whose samples are meant to differ from the reference's -> why.

Every film's may: the table of chroma is made more exactly now. The reference gets it, too (`take_table` of the runner).
"""


@pytest.fixture(scope="module")
def reference(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's tree: what VIDEOCOLOR_GOLDEN_REFERENCE names, or the commit out of this checkout's history."""
    named = os.environ.get("VIDEOCOLOR_GOLDEN_REFERENCE")
    if named:
        assert (Path(named) / "videocolor").is_dir(), f"VIDEOCOLOR_GOLDEN_REFERENCE={named}: no videocolor/ in it"
        return Path(named).resolve()
    try:
        command = ["git", "-C", str(root), "archive", REFERENCE, "videocolor", "configs"]
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode().strip() or error
        pytest.skip(f"commit {REFERENCE[:7]} is not in this checkout's history ({said})")
    tree = tmp_path_factory.mktemp("reference")
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(tree, filter="data")
    return tree


@pytest.mark.timeout(1200)
def test_samples_of_a_few_films_are_those_of_the_reference(reference: Path, root: Path, tmp_path: Path) -> None:
    check(quick_cases(), reference, root, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_samples_of_many_films_are_those_of_the_reference(reference: Path, root: Path, tmp_path: Path) -> None:
    """VIDEOCOLOR_GOLDEN_CASES: how many; VIDEOCOLOR_GOLDEN_ONLY: a pattern of ids, as `split-*`."""
    cases = make_cases(int(os.environ.get("VIDEOCOLOR_GOLDEN_CASES", COUNT)))
    only = os.environ.get("VIDEOCOLOR_GOLDEN_ONLY", "*")
    check([case for case in cases if fnmatch(case.id, only)], reference, root, tmp_path)


def check(cases: Sequence[Case], reference: Path, present: Path, folder: Path) -> None:
    """Color the cases with both trees at once, and compare."""
    assert cases
    for case in cases:
        _prepare(case, folder)
    for tree, name in ((reference, WEIGHTS), (present, f"present_{WEIGHTS}")):  # the same, but for words of the card
        shutil.copy(tree / "videocolor" / "models" / "weights" / "hint.safetensors", folder / name)
    make_network(folder / SMALL, [[40, 10, 0], [-30, 20, 35]], [-20, -8], stride=1)
    make_network(folder / COARSE, [[-70, 10, 0], [30, 0, 25]], [25, -30], stride=4)
    np.savez(folder / "tables.npz", **{matrix: chroma_atlas(matrix) for matrix in get_args(Matrix)})
    sides = {"reference": reference, "present": present}
    errors: dict[str, dict[str, str]] = {side: {} for side in sides}
    for start in range(0, len(cases), AT_ONCE):
        part = [case.as_dict() for case in cases[start : start + AT_ONCE]]
        (folder / "cases.json").write_text(json.dumps(part, indent=1))
        running = {side: _start(side, tree, folder) for side, tree in sides.items()}
        try:
            for side, process in running.items():
                assert process.wait() == 0, (folder / f"{side}.log").read_text()
                errors[side] |= json.loads((folder / side / "errors.json").read_text())
        finally:
            for process in running.values():
                process.kill()
                process.wait()
    assert errors["reference"] == {}, "cases must be such that the reference colors them"
    differences = {case.id: _difference(case.id, folder) for case in cases if case.id not in errors["present"]}
    wrong = [f"{name}: {text}" for name, text in errors["present"].items()]
    wrong += [f"{name}: {text}" for name, text in differences.items() if text is not None and not _meant(name)]
    assert not wrong, f"{len(wrong)} of {len(cases)} films differ (see {folder}):\n" + "\n".join(wrong)
    if len(cases) == COUNT:
        changed = [name for name, text in differences.items() if text is not None]
        idle = [pattern for pattern in MEANT_TO_CHANGE if not any(fnmatch(name, pattern) for name in changed)]
        assert not idle, f"no film of MEANT_TO_CHANGE differs: {', '.join(idle)}"
    for side in sides:
        shutil.rmtree(folder / side)


def _prepare(case: Case, folder: Path) -> None:
    make_film(case.film, folder / case.film_name)
    for name, recipe in case.films.items():
        make_film(recipe, folder / name)
    for name, recipe in case.pictures.items():
        make_picture(recipe, folder / name)
    if case.shots is not None:
        lines = [f"- {{frame: {start}}}\n" for start in case.shots]
        (folder / f"{case.id}.yaml").write_text("shots:\n" + "".join(lines))


def _start(side: str, tree: Path, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, str(RUNNER), side, str(tree), "cases.json", side]
    with (folder / f"{side}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _meant(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in MEANT_TO_CHANGE)


def _difference(name: str, folder: Path) -> str | None:
    """Where the two films of a case begin to differ, in words."""
    films = [folder / side / f"{name}.mkv" for side in ("reference", "present")]
    for index, pair in enumerate(zip_longest(*map(_frames, films))):
        if None in pair:
            return f"{'the present' if pair[0] is None else 'the reference'} has more than {index} frames"
        (head, before), (other, after) = pair
        if head != other:
            return f"frame {index}: {head} was, {other} is"
        for number, (a, b) in enumerate(zip(before, after, strict=True)):
            off = np.abs(a.astype(np.int64) - b)
            if off.any():
                plane = ("Y", "Cb", "Cr")[number]
                return (
                    f"frame {index}, {plane}: {np.count_nonzero(off)} of {off.size} samples differ, most by {off.max()}"
                )
    return None


def _frames(path: Path) -> Iterator[tuple[Any, list[NDArray[Any]]]]:
    """(time, duration, format, size and tags), and planes, of every frame."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            time = None if frame.pts is None else Fraction(frame.pts) * frame.time_base
            tags = (int(frame.color_range), int(frame.colorspace))
            yield (time, frame.format.name, frame.width, frame.height, tags), planes_of(frame)
