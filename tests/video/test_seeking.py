"""Frames by presentation time, in any order, are those of reading the film through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from media import make_film

from videocolor.video import open_video
from videocolor.video.seeking import SeekableVideo


def test_frames_in_any_order_are_those_of_reading_through(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    make_film(path, 40, size=(64, 48))
    with open_video(path) as video:
        frames = {frame.pts: frame.luma.copy() for frame in video}
    times = sorted(frames)
    film = SeekableVideo(path)
    for index in (30, 31, 3, 39, 0, 20):
        (found,) = film.until(times[index], {times[index]}.__contains__)
        assert found.pts == times[index]
        np.testing.assert_array_equal(found.luma, frames[times[index]])
    assert len(list(film.until(times[21], {times[21]}.__contains__))) == 1
    wanted = {times[23], times[25]}
    assert [frame.pts for frame in film.until(times[26], wanted.__contains__)] == sorted(wanted), "on the way"
    assert not list(film.until(times[12] + 1, {times[12] + 1}.__contains__)), "no frame has that time"
    film.close()
