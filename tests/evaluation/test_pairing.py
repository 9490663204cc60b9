"""Which frame of a result belongs to which frame of the truth: films that do not fit are refused, or it is said."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import make_film, make_image, noise_planes

from videocolor.errors import InputError, UsageError
from videocolor.evaluation.pairing import FilmPairs, FramePair
from videocolor.evaluation.scoring import ScoreOptions, score_film
from videocolor.hints.plan import frame_to_rgb
from videocolor.video import open_video

CHEAP = ScoreOptions(metrics=("psnr_rgb", "luma_max_diff"))


def planes(frames: list[int], pix_fmt: str = "yuv420p", size: tuple[int, int] = (64, 48)) -> list[list[np.ndarray]]:
    return [noise_planes(*size, pix_fmt, index) for index in frames]


def paired(truth: Path, result: Path, **options: object) -> tuple[list[FramePair], FilmPairs]:
    with FilmPairs(truth, result, **options) as films:  # type: ignore[arg-type]
        return list(films), films


def test_the_same_film(tmp_path: Path) -> None:
    make_film(tmp_path / "a.mkv", 6)
    make_film(tmp_path / "b.mp4", 6, codec="libx264", options={"crf": "0"})
    pairs, films = paired(tmp_path / "a.mkv", tmp_path / "b.mp4")
    assert [pair.index for pair in pairs] == list(range(6))
    assert [pair.luma_diff for pair in pairs] == [0] * 6
    assert all(np.array_equal(pair.truth, pair.test) for pair in pairs)
    assert films.alignment.pairs == 6
    assert films.alignment.time_max_diff == pytest.approx(0, abs=1e-3)  # Matroska counts milliseconds
    with open_video(tmp_path / "a.mkv") as video:
        first = np.rint(frame_to_rgb(next(iter(video))) * 255)
    np.testing.assert_array_equal(pairs[0].truth, first)


@pytest.mark.parametrize("align", ["strict", "index", "pts"])
@pytest.mark.parametrize(("truth", "result"), [(6, 5), (5, 6)])
def test_another_length_is_refused_or_said(tmp_path: Path, align: str, truth: int, result: int) -> None:
    make_film(tmp_path / "truth.mkv", truth)
    make_film(tmp_path / "result.mkv", result)
    arguments = (tmp_path / "truth.mkv", tmp_path / "result.mkv")
    with pytest.raises(InputError, match=rf"result.mkv: {result} frames, the truth .*mkv has {truth}; 1 are unpaired"):
        paired(*arguments, align=align)
    pairs, films = paired(*arguments, align=align, allow=("length",))
    assert len(pairs) == films.alignment.pairs == 5
    assert (films.alignment.unpaired_truth, films.alignment.unpaired_result) == (truth - 5, result - 5)
    assert films.alignment.as_dict()["allowed"] == ["length"]


def test_other_times_are_refused_or_paired(tmp_path: Path) -> None:
    """The result lacks frame 2 and shows the others at their times: by place, all behind it would be wrong."""
    make_film(tmp_path / "truth.mkv", planes([0, 1, 2, 3, 4, 5]))
    make_film(tmp_path / "result.mkv", planes([0, 1, 3, 4, 5]), pts=[0, 1, 3, 4, 5])
    arguments = (tmp_path / "truth.mkv", tmp_path / "result.mkv")
    with pytest.raises(InputError, match=r"frame 2 is shown at 0\.125 s, the truth's at 0\.083 s; --align pts"):
        paired(*arguments)
    pairs, films = paired(*arguments, align="pts", allow=("length",))
    assert [pair.index for pair in pairs] == [0, 1, 3, 4, 5]
    assert [pair.luma_diff for pair in pairs] == [0] * 5
    assert films.alignment.unpaired_truth == 1
    pairs, films = paired(*arguments, align="index", allow=("length",))
    assert [pair.luma_diff == 0 for pair in pairs] == [True, True, False, False, False]
    assert films.alignment.time_max_diff == pytest.approx(1 / 24, abs=2e-3)


def test_another_rate_is_refused(tmp_path: Path) -> None:
    make_film(tmp_path / "truth.mkv", 12, rate=Fraction(24))
    make_film(tmp_path / "result.mkv", 12, rate=Fraction(25))
    with pytest.raises(InputError, match="is shown at"):
        paired(tmp_path / "truth.mkv", tmp_path / "result.mkv")
    pairs, films = paired(tmp_path / "truth.mkv", tmp_path / "result.mkv", align="index")
    assert len(pairs) == 12
    assert films.alignment.time_max_diff == pytest.approx(11 / 24 - 11 / 25, abs=2e-3)


def test_films_of_two_times_have_no_pair(tmp_path: Path) -> None:
    make_film(tmp_path / "truth.mkv", 4)
    make_film(tmp_path / "result.mkv", 4, pts=range(100, 104))
    with pytest.raises(InputError, match="no two of them are shown at one time"):
        paired(tmp_path / "truth.mkv", tmp_path / "result.mkv", align="pts", allow=("length",))


def test_another_size_is_refused_or_said(tmp_path: Path) -> None:
    make_film(tmp_path / "truth.mkv", 3)
    make_film(tmp_path / "result.mkv", 3, size=(32, 24))
    arguments = (tmp_path / "truth.mkv", tmp_path / "result.mkv")
    with pytest.raises(InputError, match=r"is 32x24, the truth .* is 64x48; .*--allow size"):
        paired(*arguments)
    pairs, films = paired(*arguments, allow=("size",))
    assert pairs[0].test.shape == (48, 64, 3)
    assert films.alignment.resized == "32x24 -> 64x48"
    assert films.luma_rule.scale is None


def test_a_damaged_result_is_refused_or_said(tmp_path: Path) -> None:
    make_film(tmp_path / "truth.mkv", 24, codec="libx264")
    data = (tmp_path / "truth.mkv").read_bytes()
    (tmp_path / "result.mkv").write_bytes(data[: len(data) * 6 // 10])
    arguments = (tmp_path / "truth.mkv", tmp_path / "result.mkv")
    with pytest.raises(InputError, match=r"result\.mkv: .*--allow damage"):
        paired(*arguments)
    pairs, films = paired(*arguments, allow=("damage", "length"))
    assert 0 < len(pairs) < 24
    assert len(pairs) + films.alignment.unpaired_truth == 24
    assert films.alignment.damage and "result.mkv" in films.alignment.damage[0]
    (tmp_path / "result.mkv").write_bytes(b"no film")
    with pytest.raises(InputError, match=r"result\.mkv"):
        paired(*arguments)


def images(folder: Path, film: Path, numbers: list[int]) -> None:
    folder.mkdir()
    with open_video(film) as video:
        for number, frame in zip(numbers, video, strict=False):
            rgb = np.rint(frame_to_rgb(frame) * 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number:05d}.png"), rgb[..., ::-1])


def test_images_and_stills(tmp_path: Path) -> None:
    """Images carry no times: they are taken in order, and a missing one is not closed up in silence."""
    make_film(tmp_path / "truth.mkv", 5, rate=Fraction(30))
    images(tmp_path / "whole", tmp_path / "truth.mkv", [1, 2, 3, 4, 5])
    pairs, films = paired(tmp_path / "truth.mkv", tmp_path / "whole")
    assert len(pairs) == 5
    assert all(np.array_equal(pair.truth, pair.test) for pair in pairs)
    assert films.alignment.time_max_diff is None
    assert films.luma_rule.text == "an RGB film stores no luma"
    images(tmp_path / "holes", tmp_path / "truth.mkv", [1, 2, 4, 5, 6])
    with pytest.raises(InputError, match="frame 2 is shown at"):
        paired(tmp_path / "truth.mkv", tmp_path / "holes")
    make_film(tmp_path / "uneven.mkv", 5, pts=[0, 3, 4, 9, 11])
    assert len(paired(tmp_path / "uneven.mkv", tmp_path / "whole")[0]) == 5
    pairs, films = paired(tmp_path / "whole", tmp_path / "whole")
    assert films.alignment.time_max_diff is None
    assert films.warnings == ()
    written = cv2.imread(str(tmp_path / "whole" / "00003.png"))
    np.testing.assert_array_equal(pairs[2].truth, written[..., ::-1])
    still = tmp_path / "whole" / "00001.png"
    scores = score_film(still, tmp_path / "whole" / "00001.png", CHEAP)
    assert (scores["frames"], scores["psnr_rgb"]) == (1, 100)
    with pytest.raises(InputError, match="1 frames, the truth"):
        paired(tmp_path / "truth.mkv", still)


@pytest.mark.parametrize("pix_fmt", ["gbrp", "gbrp10le", "rgb48"])
def test_rgb_films_are_read_as_they_are_stored(tmp_path: Path, pix_fmt: str) -> None:
    if pix_fmt == "rgb48":
        pixels = np.random.default_rng(0).integers(0, 65536, (48, 64 * 3), dtype=np.uint16)
        make_image(tmp_path / "film.png", [pixels], "rgb48be")
        expected, path = pixels.reshape(48, 64, 3), tmp_path / "film.png"
    else:
        codec, path = ("utvideo", tmp_path / "film.avi") if pix_fmt == "gbrp" else ("ffv1", tmp_path / "film.mkv")
        green, blue, red = make_film(path, 1, codec, pix_fmt)[0]
        expected = np.stack([red, green, blue], axis=-1)
        if pix_fmt == "gbrp10le":
            expected = np.rint(expected * (65535 / 1023)).astype(np.uint16)
    pairs, _ = paired(path, path)
    np.testing.assert_array_equal(pairs[0].truth, expected)


def test_luma_of_equal_depth(tmp_path: Path) -> None:
    frames = planes([0, 1, 2])
    make_film(tmp_path / "truth.mkv", frames)
    frames[1][0][5, 7] ^= 4
    frames[2][1][:] = 128  # chroma is no luma
    make_film(tmp_path / "result.mkv", frames)
    scores = score_film(tmp_path / "result.mkv", tmp_path / "truth.mkv", CHEAP)
    assert (scores["luma_max_diff"], scores["luma_compared"]) == (4, "8-bit codes")


def test_luma_of_two_depths(tmp_path: Path) -> None:
    """Limited-range codes of 10 bits are those of 8 bits times 4; the difference is told in 10-bit codes."""
    frames = planes([0, 1])
    wide = [[plane.astype(np.uint16) * 4 for plane in frame] for frame in frames]
    make_film(tmp_path / "8.mkv", frames, tags={"color_range": 1})
    make_film(tmp_path / "10.mkv", wide, pix_fmt="yuv420p10le", tags={"color_range": 1})
    scores = score_film(tmp_path / "10.mkv", tmp_path / "8.mkv", CHEAP)
    assert scores["luma_max_diff"] == 0
    assert scores["luma_compared"] == "10-bit codes; the truth's 8-bit codes times 4"
    assert scores.alignment is not None and scores.alignment.bits == 16
    assert scores["psnr_rgb"] is not None and scores["psnr_rgb"] > 90
    wide[1][0][0, 0] += 3
    make_film(tmp_path / "10.mkv", wide, pix_fmt="yuv420p10le", tags={"color_range": 1})
    assert score_film(tmp_path / "8.mkv", tmp_path / "10.mkv", CHEAP)["luma_max_diff"] == 3


@pytest.mark.parametrize(
    ("truth", "result", "reason"),
    [
        ({"color_range": 1}, {"color_range": 2}, "range"),
        ({"colorspace": 1}, {"colorspace": 5}, "matrix"),
    ],
)
def test_luma_that_means_something_else(
    tmp_path: Path, truth: dict[str, int], result: dict[str, int], reason: str
) -> None:
    make_film(tmp_path / "truth.mkv", 2, tags=truth)
    make_film(tmp_path / "result.mkv", 2, tags=result)
    scores = score_film(tmp_path / "result.mkv", tmp_path / "truth.mkv", CHEAP)
    assert scores["luma_max_diff"] is None
    assert scores.not_measured["luma_max_diff"].startswith(reason)
    assert scores["psnr_rgb"] is not None and scores["psnr_rgb"] < 60  # each by its own tags: the colors differ


def test_how_each_film_was_decoded_is_said(tmp_path: Path) -> None:
    make_film(tmp_path / "truth.mkv", 2, tags={"colorspace": 1, "color_range": 1})
    make_film(tmp_path / "result.mkv", 2)
    _, films = paired(tmp_path / "truth.mkv", tmp_path / "result.mkv")
    assert films.alignment.truth_color == "bt709 limited"
    assert films.alignment.result_color == "bt601 limited (matrix and range assumed)"


def test_a_reference_frame_that_is_none(tmp_path: Path) -> None:
    make_film(tmp_path / "a.mkv", 3)
    shutil.copy(tmp_path / "a.mkv", tmp_path / "b.mkv")
    with pytest.raises(UsageError, match=r"reference frame 3: .*a\.mkv has frames 0\.\.2"):
        score_film(tmp_path / "b.mkv", tmp_path / "a.mkv", CHEAP, reference_frames=[0, 3])
