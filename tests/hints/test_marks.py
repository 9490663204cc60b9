"""Marks say how far a hint's scribbles reach: from the file to what a shot depends on."""

from pathlib import Path

import av
import cv2
import numpy as np
import pydantic
import pytest

from videocolor.colorize import colorize_video
from videocolor.config import AssignedHint, ColorizeConfig
from videocolor.errors import HintError
from videocolor.fingerprint import assigned_in
from videocolor.hints.files import collect_assigned
from videocolor.hints.marks import places_of
from videocolor.hints.plan import hint_input, scribble_warnings
from videocolor.images import encode_image
from videocolor.models.base import HintInput
from videocolor.shards.plan import _digest
from videocolor.types import Hint, Mark

SIZE = (32, 64)


def entry(folder: Path, *marks: dict[str, object], painted: bool = True) -> AssignedHint:
    picture = np.full((*SIZE, 4), 128, np.uint8)
    picture[..., 0], picture[..., 3] = 200, 0
    if painted:
        picture[4:8, 4:8, 3] = 255
    path = folder / "spots.png"
    path.write_bytes(encode_image(picture))
    return AssignedHint.model_validate({"image": str(path), "frame": 3, "marks": marks})


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ({"x": 0.5, "y": 0.5, "reach": "far"}, "reach"),
        ({"x": 1.5, "y": 0.5}, "x"),
        ({"x": 0.5, "y": 0.5, "filled": True, "path": [[0.6, 0.6]]}, "two more places"),
        ({"x": 0.5, "y": 0.5, "raduis": 0.1}, "raduis"),
    ],
)
def test_wrong_marks_are_refused(tmp_path: Path, mark: dict[str, object], says: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=says):
        entry(tmp_path, mark)


def test_marks_are_of_a_frame(tmp_path: Path) -> None:
    with pytest.raises(pydantic.ValidationError, match="name its frame"):
        AssignedHint.model_validate({"image": "a.png", "shots": [1], "marks": [{"x": 0.5, "y": 0.5}]})


def test_a_shot_depends_on_the_marks_of_its_hints(tmp_path: Path) -> None:
    one, other = (entry(tmp_path, {"x": 0.1, "y": 0.2, "reach": reach}) for reach in ("here", "alike"))
    assert assigned_in([one], 0, 9) != assigned_in([other], 0, 9)
    hints = [collect_assigned([given])[0][1] for given in (one, other)]
    assert hints[0].marks == (Mark(((0.1, 0.2),), 0.035, False, "here"),)
    assert _digest(hints[0], True) != _digest(hints[1], True)
    seen = hint_input(hints[0], SIZE, in_shot=True, reach="thing")
    assert seen.reaches == ("here",) and seen.places is not None and seen.places[6, 6] == 1
    assert hint_input(hints[0], SIZE, in_shot=False, reach="thing").places is None


def test_pins_alone_are_a_hint(tmp_path: Path) -> None:
    collect_assigned([entry(tmp_path, {"x": 0.5, "y": 0.5, "reach": "keep"}, painted=False)])
    with pytest.raises(HintError, match="nothing is painted"):
        collect_assigned([entry(tmp_path, painted=False)])


def test_each_mark_has_its_number_and_what_no_mark_covers_has_the_setting() -> None:
    mask, ab = np.zeros(SIZE, np.float32), np.full((2, *SIZE), 20, np.float32)
    mask[4:8, 4:8] = mask[4:8, 40:44] = 1
    nowhere, there = Mark(((0.5, 0.9),), 0.05), Mark(((6 / 64, 6 / 32),), 0.1, reach="alike")
    found = places_of((nowhere, there), ab, mask, "here")
    assert found is not None
    places, reaches = found
    assert reaches == ("thing", "alike", "here")
    assert (places[6, 6], places[6, 42], places[28, 32]) == (2, 3, 0)


def test_scribbles_that_do_not_reach_as_asked_are_named() -> None:
    opaque = Hint("a.png", np.zeros((*SIZE, 3), np.float32), marks=(Mark(((0.5, 0.5),), 0.1),))
    many = HintInput(np.zeros(SIZE, np.float32), np.zeros((2, *SIZE), np.float32), reaches=("thing",) * 40)
    (said,) = scribble_warnings([opaque], [many])
    assert "a.png" in said and "opaque" in said
    assert "80 scribbles, of which the 64 largest" in scribble_warnings([opaque, opaque], [many, many])[-1]


@pytest.mark.slow
def test_a_painted_frame_among_more_scribbles_than_the_network_takes(tmp_path: Path) -> None:
    """Its window has no other keyframe, so that there is nothing for the network to decide together."""
    soft = cv2.GaussianBlur(np.random.default_rng(0).random((96, 128)).astype(np.float32), (0, 0), 4)
    gray = cv2.normalize(soft, None, 20, 220, cv2.NORM_MINMAX).astype(np.uint8)
    film = tmp_path / "film.mkv"
    with av.open(str(film), "w") as out:
        stream = out.add_stream("ffv1", rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "gray"
        for index in range(40):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(gray, index, 1), format="gray")))
        out.mux(stream.encode())
    assigned = []
    for frame in (0, 7, 8, 9, 20, 30, 39):
        picture = np.repeat(np.roll(gray, frame, 1)[..., None], 4, axis=2)
        picture[..., 0] //= 2
        picture[..., 3] = 255 if frame == 8 else 0
        picture[30:40, 40:50, 3] = 255
        path = tmp_path / f"{frame}.png"
        path.write_bytes(encode_image(picture))
        assigned.append({"image": str(path), "frame": frame})
    config = ColorizeConfig.model_validate(
        {"model": {"batch": 1}, "hints": {"assigned": assigned}, "output": {"codec": "ffv1"}}
    )
    assert colorize_video(film, tmp_path / "out.mkv", config).frames == 40
