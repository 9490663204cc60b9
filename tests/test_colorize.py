"""The whole path on small films whose every sample is known, with networks whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media import make_film
from skimage.color import deltaE_ciede2000

from videocolor import color
from videocolor.colorize import colorize_video, find_shots
from videocolor.config import ColorizeConfig
from videocolor.errors import DeviceError, OutputError, UsageError
from videocolor.events import Event
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.shots.shotlist import write_shots
from videocolor.types import Array
from videocolor.video import open_video

WIDTH, HEIGHT = 96, 64
FFV1 = ("output.codec=ffv1",)


class Teller(Colorizer):
    """Colors by lightness, so that every frame's answer is known; notes what it was asked."""

    def __init__(self, hints: str = "many", most: int = 99, broken: bool = False) -> None:
        self.card = ModelCard("teller", "Teller", hints, 0, 0, area=WIDTH * HEIGHT)  # type: ignore[arg-type]
        self.begun: list[int] = []
        self.batches: list[int] = []
        self._most, self._broken = most, broken

    def begin(self, hints: Sequence[HintInput]) -> None:
        self.begun.append(len(hints))

    def step(self, memory: None, luma: Array) -> Prediction:
        if luma.shape[0] > self._most or self._broken:
            raise DeviceError("out of memory")
        self.batches.append(luma.shape[0])
        return Prediction(np.stack([30 * luma - 10, 20 - 40 * luma], axis=1).astype(np.float32))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Colorizer], None]:
    """Make a colorizer the one that every name loads."""

    def put(colorizer: Colorizer) -> None:
        def load(*_: Any, **__: Any) -> Colorizer:
            return colorizer

        monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", load)

    return put


def scene(seed: int, width: int = WIDTH + 64, height: int = HEIGHT) -> Array:
    """(3, h, w) float32 R'G'B' of soft colors with some texture."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0.25, 0.75, (8, 14, 3)).astype(np.float32)
    soft = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = cv2.GaussianBlur(rng.normal(0, 0.15, (height, width)).astype(np.float32), (0, 0), 1)
    return np.moveaxis(np.clip(soft + texture[..., None], 0.05, 0.95), -1, 0)


def color_frames(seeds: Sequence[int], length: int = 8, pix_fmt: str = "yuv420p") -> list[list[Array]]:
    """Planes of a film of panning shots, BT.601 limited, one shot for each seed."""
    step = {"yuv420p": (2, 2), "yuv422p": (2, 1), "yuv444p": (1, 1)}[pix_fmt]
    frames = []
    for seed in seeds:
        wide = scene(seed)
        for i in range(length):
            y, cb, cr = color.rgb_to_ycbcr(wide[:, :, 2 * i : 2 * i + WIDTH], "bt601")
            size = (WIDTH // step[0], HEIGHT // step[1])
            planes = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (cb, cr)]
            frames.append(
                [color.luma_to_codes(y, 8, "limited"), *(color.chroma_to_codes(p, 8, "limited") for p in planes)]
            )
    return frames


def config(*settings: str) -> ColorizeConfig:
    return ColorizeConfig.load(None, [*FFV1, *settings])


def decoded(path: Path) -> list[Any]:
    with open_video(path) as video:
        return [(f.pts * f.time_base, f.luma.copy(), f.chroma and tuple(p.copy() for p in f.chroma), f) for f in video]


@pytest.mark.parametrize(
    ("pix_fmt", "size"),
    [
        pytest.param(pix_fmt, size, marks=() if (place + size[0]) % 2 else pytest.mark.slow)
        for place, pix_fmt in enumerate(["gray", "gray10le", "yuv420p", "yuv422p10le", "yuv444p12le", "gray16le"])
        for size in ((64, 48), (53, 37))
    ],
)
def test_luma_and_times_are_the_films(
    pix_fmt: str, size: tuple[int, int], tmp_path: Path, use: Callable[[Colorizer], None]
) -> None:
    use(Teller())
    times = [0, 42, 83, 200, 242, 300, 301]
    planes = make_film(tmp_path / "in.mkv", 7, "ffv1", pix_fmt, size=size, pts=times, time_base=Fraction(1, 1000))
    colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config())
    out = decoded(tmp_path / "out.mkv")
    assert [time for time, *_ in out] == [Fraction(t, 1000) for t in times]
    for (_, luma, chroma, _), source in zip(out, planes, strict=True):
        np.testing.assert_array_equal(luma, source[0])
        assert chroma is not None


def test_predicted_color_arrives(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    frames = color_frames([1], 4, "yuv444p")
    make_film(tmp_path / "in.mkv", frames, pix_fmt="yuv444p", size=(WIDTH, HEIGHT))
    colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config("smoothing.enabled=false"))
    for (_, luma, chroma, _), _planes in zip(decoded(tmp_path / "out.mkv"), frames, strict=True):
        y = color.codes_to_luma(luma, 8, "limited")
        cb, cr = color.ab_to_ycbcr(y, np.stack([30 * y - 10, 20 - 40 * y]), "bt601")
        for made, wanted in zip(chroma, (cb, cr), strict=True):
            error = color.codes_to_chroma(made, 8, "limited") - wanted
            assert np.abs(error).mean() < 0.004


@pytest.mark.slow
@pytest.mark.parametrize("keyframe_interval", [1, 4])
def test_batch_size_does_not_matter(keyframe_interval: int, tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    make_film(tmp_path / "in.mkv", color_frames([1, 2], 20), size=(WIDTH, HEIGHT))
    made = []
    for batch in (1, 3, 16):
        use(Teller())
        target = tmp_path / f"out{batch}.mkv"
        colorize_video(
            tmp_path / "in.mkv", target, config(f"model.batch={batch}", f"model.keyframe_interval={keyframe_interval}")
        )
        made.append(decoded(target))
    for other in made[1:]:
        for (_, _, a, _), (_, _, b, _) in zip(made[0], other, strict=True):
            for p, q in zip(a, b, strict=True):
                assert np.abs(p.astype(int) - q).max() <= 1


@pytest.mark.slow
def test_out_of_memory_halves_the_batch_and_says_so(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    make_film(tmp_path / "in.mkv", color_frames([1], 24), size=(WIDTH, HEIGHT))
    teller = Teller(most=2)
    use(teller)
    settings = ("model.batch=8", "smoothing.enabled=false")
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "small.mkv", config(*settings))
    assert max(teller.batches) == 2
    assert any("halved to 4" in warning for warning in result.warnings)
    use(Teller())
    colorize_video(tmp_path / "in.mkv", tmp_path / "large.mkv", config(*settings))
    for (_, _, a, _), (_, _, b, _) in zip(
        decoded(tmp_path / "small.mkv"), decoded(tmp_path / "large.mkv"), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_a_device_too_small_for_one_frame_fails_and_leaves_nothing(
    tmp_path: Path, use: Callable[[Colorizer], None]
) -> None:
    make_film(tmp_path / "in.mkv", color_frames([1], 4), size=(WIDTH, HEIGHT))
    use(Teller(broken=True))
    with pytest.raises(DeviceError):
        colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config())
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_every_shot_begins_anew_and_a_returning_one_remembers(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    teller = Teller()
    use(teller)
    make_film(tmp_path / "in.mkv", color_frames([1, 2, 1], 16), size=(WIDTH, HEIGHT))
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config())
    assert [(shot.start, shot.end) for shot in result.shots] == [(0, 16), (16, 32), (32, 48)]
    assert teller.begun[:3] == [0, 0, 0], "two new shots, and the first one by itself, for what it lends"
    assert teller.begun[3] > 0, "the third shot is the first come back: it is told the first one's colors"
    assert [shot.reuses for shot in result.shots] == [None, None, 0]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p"])
def test_a_true_frame_given_as_hint_comes_back(pix_fmt: str, tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    frames = color_frames([3], 12, pix_fmt)
    make_film(tmp_path / "in.mkv", frames, pix_fmt=pix_fmt, size=(WIDTH, HEIGHT))
    at = 5
    y, cb, cr = (color.codes_to_luma(frames[at][0], 8, "limited"), *frames[at][1:])
    cb, cr = (
        cv2.resize(color.codes_to_chroma(p, 8, "limited"), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        for p in (cb, cr)
    )
    rgb = np.clip(color.ycbcr_to_rgb(y, cb, cr, "bt601"), 0, 1)
    cv2.imwrite(str(tmp_path / "hint.png"), np.rint(np.moveaxis(rgb, 0, -1)[..., ::-1] * 255).astype(np.uint8))
    result = colorize_video(
        tmp_path / "in.mkv", tmp_path / "out.mkv", config(f"hints.items=['{at / 24:.3f}={tmp_path / 'hint.png'}']")
    )
    assert result.shots[0].hints == [str(tmp_path / "hint.png")]
    _, luma, made, _ = decoded(tmp_path / "out.mkv")[at]
    np.testing.assert_array_equal(luma, frames[at][0])
    plane = frames[at][1].shape
    small = cv2.resize(y, (plane[1], plane[0]), interpolation=cv2.INTER_AREA)
    labs = [
        color.rgb_to_lab(
            np.clip(color.ycbcr_to_rgb(small, *(color.codes_to_chroma(p, 8, "limited") for p in planes), "bt601"), 0, 1)
        )
        for planes in (frames[at][1:], made)
    ]
    assert deltaE_ciede2000(*(np.moveaxis(lab, 0, -1) for lab in labs)).mean() <= 1.5


def test_a_hint_for_a_network_that_takes_none(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller(hints="none"))
    make_film(tmp_path / "in.mkv", color_frames([1], 4), size=(WIDTH, HEIGHT))
    cv2.imwrite(str(tmp_path / "hint.png"), np.full((20, 20, 3), (200, 30, 30), np.uint8))
    with pytest.raises(UsageError, match="takes no hints"):
        colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config(f"hints.items=['{tmp_path / 'hint.png'}']"))


def test_source_color_is_replaced_and_said_or_kept_where_asked(
    tmp_path: Path, use: Callable[[Colorizer], None]
) -> None:
    use(Teller())
    frames = color_frames([1], 8)
    make_film(tmp_path / "in.mkv", frames, size=(WIDTH, HEIGHT))
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "new.mkv", config())
    assert any("already in color" in warning for warning in result.warnings)
    assert any((a[2][0] != planes[1]).any() for a, planes in zip(decoded(tmp_path / "new.mkv"), frames, strict=True))
    colorize_video(tmp_path / "in.mkv", tmp_path / "kept.mkv", config("chroma.keep_source=true"))
    for (_, _, chroma, _), planes in zip(decoded(tmp_path / "kept.mkv"), frames, strict=True):
        np.testing.assert_array_equal(chroma[0], planes[1])
        np.testing.assert_array_equal(chroma[1], planes[2])


def test_sepia_is_said(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    frames = [[f[0], np.full_like(f[1], 108), np.full_like(f[2], 142)] for f in color_frames([1], 4)]
    make_film(tmp_path / "in.mkv", frames, size=(WIDTH, HEIGHT))
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config())
    assert any("tinted" in warning for warning in result.warnings)


def test_start_and_end_choose_frames(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    frames = color_frames([1], 24)
    make_film(tmp_path / "in.mkv", frames, size=(WIDTH, HEIGHT))
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config("input.start=0.25", "input.end=0.75"))
    out = decoded(tmp_path / "out.mkv")
    assert result.frames == len(out) == 12
    np.testing.assert_array_equal(out[0][1], frames[6][0])


def test_sidecar_and_events(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    make_film(tmp_path / "in.mkv", color_frames([1, 2], 16), size=(WIDTH, HEIGHT))
    events: list[Event] = []
    colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config(), observer=events.append)
    kinds = [event.kind for event in events]
    assert kinds.count("start") == kinds.count("done") == 1
    assert kinds.count("shot") == 2
    told = json.loads((tmp_path / "out.mkv.json").read_text())
    assert told["frames"] == 32
    assert len(told["source"]["sha256"]) == 64
    assert [shot["start"] for shot in told["shots"]] == [0, 16]
    assert told["config"]["output"]["codec"] == "ffv1"
    assert told["model"]["name"] == "teller"


@pytest.mark.parametrize("resume", [True, False])
def test_notes_are_given_once_where_cuts_need_a_scan(
    resume: bool, tmp_path: Path, use: Callable[[Colorizer], None]
) -> None:
    """The network's pictures are not those that cuts are found on, so the film is scanned first; opened only once."""
    network = Teller()
    network.card = replace(network.card, area=48 * 32)
    use(network)
    make_film(tmp_path / "in.mkv", color_frames([1, 2], 8), size=(WIDTH, HEIGHT))
    notes: list[str] = []
    result = colorize_video(
        tmp_path / "in.mkv",
        tmp_path / "out.mkv",
        ColorizeConfig.load(None, ["restoration.deflicker=true", f"output.resume={str(resume).lower()}", *FFV1]),
        observer=lambda event: notes.append(event.data["message"]) if event.kind == "note" else None,
    )
    assert [(shot.start, shot.end) for shot in result.shots] == [(0, 8), (8, 16)]
    assert any("restored" in note for note in notes) and len(notes) == len(set(notes))


def test_saturation_zero_is_gray(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    make_film(tmp_path / "in.mkv", color_frames([1], 4), size=(WIDTH, HEIGHT))
    colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config("chroma.saturation=0"))
    for _, _, chroma, _ in decoded(tmp_path / "out.mkv"):
        assert (chroma[0] == 128).all()
        assert (chroma[1] == 128).all()


def test_color_that_begins_late_is_seen(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    black = [np.full((HEIGHT, WIDTH), 16, np.uint8), *[np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)] * 2]
    frames = [black, *color_frames([1], 7)]
    make_film(tmp_path / "in.mkv", frames, size=(WIDTH, HEIGHT))
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config("chroma.keep_source=true"))
    assert any("already in color" in warning for warning in result.warnings)
    for (_, _, chroma, _), planes in zip(decoded(tmp_path / "out.mkv")[1:], frames[1:], strict=True):
        np.testing.assert_array_equal(chroma[0], planes[1])


@pytest.mark.parametrize(("pix_fmt", "shift"), [("yuv422p12le", -2), ("yuv422p", 2)])
def test_kept_color_survives_another_depth(
    pix_fmt: str, shift: int, tmp_path: Path, use: Callable[[Colorizer], None]
) -> None:
    use(Teller())
    depth = 12 if "12" in pix_fmt else 8
    kind = np.uint8 if depth == 8 else np.uint16
    scale = 2 ** (depth - 8)
    planes = [
        np.full((48, 64), 100 * scale, kind),
        np.full((48, 32), 90 * scale, kind),
        np.full((48, 32), 170 * scale, kind),
    ]
    make_film(tmp_path / "in.mkv", [planes] * 3, pix_fmt=pix_fmt)
    settings = ["chroma.keep_source=true", "output.codec=prores_ks"]
    colorize_video(tmp_path / "in.mkv", tmp_path / "out.mov", ColorizeConfig.load(None, settings))
    for _, _, chroma, frame in decoded(tmp_path / "out.mov"):
        assert frame.layout.depth == 10
        assert abs(float(chroma[0].mean()) - 360) < 6
        assert abs(float(chroma[1].mean()) - 680) < 6


def test_a_record_that_is_there_already_stops_the_run_before_it_begins(
    tmp_path: Path, use: Callable[[Colorizer], None]
) -> None:
    teller = Teller()
    use(teller)
    make_film(tmp_path / "in.mkv", color_frames([1], 4), size=(WIDTH, HEIGHT))
    (tmp_path / "out.mkv.json").write_text("somebody's")
    with pytest.raises(OutputError, match=r"out\.mkv\.json"):
        colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config())
    assert teller.begun == []
    assert (tmp_path / "out.mkv.json").read_text() == "somebody's"


def test_a_shot_list_of_another_film_is_said(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    use(Teller())
    make_film(tmp_path / "long.mkv", color_frames([1, 2, 3], 16), size=(WIDTH, HEIGHT))
    make_film(tmp_path / "in.mkv", color_frames([1, 2], 10), size=(WIDTH, HEIGHT))
    shots = tmp_path / "shots.yaml"
    write_shots(shots, [view.shot for view in find_shots(tmp_path / "long.mkv").shots])
    result = colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config(f"shots.file={shots}"))
    assert [shot.start for shot in result.shots] == [0, 16]
    assert any("shot list has 1 shots after" in warning for warning in result.warnings)
    with pytest.raises(UsageError, match="--start"):
        colorize_video(tmp_path / "in.mkv", tmp_path / "b.mkv", config(f"shots.file={shots}", "input.start=0.2"))


def test_the_halved_batch_is_remembered(tmp_path: Path, use: Callable[[Colorizer], None]) -> None:
    make_film(tmp_path / "in.mkv", color_frames([1, 2], 20), size=(WIDTH, HEIGHT))
    teller = Teller(most=3)
    use(teller)
    result = colorize_video(
        tmp_path / "in.mkv", tmp_path / "out.mkv", config("model.batch=4", "smoothing.enabled=false")
    )
    assert [w for w in result.warnings if "out of memory" in w] == ["out of memory with 4 frames at once: halved to 2"]
    assert set(teller.batches) == {2}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_two_runs_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 6, "ffv1", audio=[{}], audio_codec="aac", chapters=((0, 100, "one"),))
    config = ColorizeConfig.load(None, ["model.name=constant", "output.bitexact=true", "output.preset=ultrafast"])
    films = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for film in films:
        colorize_video(source, film, config)
    assert films[0].read_bytes() == films[1].read_bytes()


@pytest.mark.parametrize("workers", [0, -1, 2.5, "2", 257])
def test_what_is_no_number_of_workers_is_refused(workers: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected auto or 1\.\.256"):
        colorize_video(tmp_path / "film.mkv", tmp_path / "out.mkv", workers=workers)
