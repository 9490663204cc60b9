"""Keyframes of a film: gray ones to paint, proposals in color, and both taken back as hints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from media import make_film

from videocolor import color
from videocolor.cli import cli
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError
from videocolor.events import Event
from videocolor.hints.plan import hint_time_in_name, load_hint
from videocolor.keyframes.choose import suggestion_name, write_keyframes
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array
from videocolor.video import open_video


@pytest.mark.parametrize("pts", [-213, -1, 0, 123456])
def test_a_suggestion_is_the_same_frame_when_it_comes_back(tmp_path: Path, pts: int) -> None:
    """Names hold milliseconds, also in front of 0; films may count finer."""
    make_film(tmp_path / "film.mkv", 1, pix_fmt="gray")
    with open_video(tmp_path / "film.mkv") as video:
        frame = next(iter(video))
    time = hint_time_in_name(suggestion_name(0, replace(frame, pts=pts, time_base=Fraction(1, 10007))))
    assert time is not None
    assert abs(time - Fraction(pts, 10007)) <= Fraction(1, 2000)
    assert time <= 0 or pts > 0


class Plain(Colorizer):
    """Colors everything alike; hints show at their own frames alone."""

    def __init__(self) -> None:
        self.card = ModelCard("plain", "Plain", "many", 0, 0, area=96 * 64)

    def begin(self, hints: Sequence[HintInput]) -> None:
        pass

    def step(self, memory: None, luma: Array) -> Prediction:
        return Prediction(np.zeros((len(luma), 2, *luma.shape[-2:]), np.float32))


def gray_film(path: Path, length: int = 12, first: int = 0) -> None:
    """Two shots of slowly panning pictures at 24 frames a second."""
    frames = []
    for seed in (1, 2):
        wide = rough(seed)
        frames += [[np.ascontiguousarray(wide[:, i : i + 96])] for i in range(length)]
    times = [first + round(1000 * i / 24) for i in range(2 * length)]
    make_film(path, frames, pix_fmt="gray", size=(96, 64), pts=times, time_base=Fraction(1, 1000))


def rough(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    soft = cv2.resize(rng.uniform(60, 190, (8, 14)).astype(np.float32), (160, 64), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 30, (64, 160)).astype(np.float32), (0, 0), 1)
    return np.clip(soft + grain, 20, 235).astype(np.uint8)


def tint(path: Path, by: Sequence[float]) -> None:
    """Paint a suggestion: same luma, one color of a*b*."""
    gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    cb, cr = color.ab_to_ycbcr(gray, np.stack([np.full_like(gray, v) for v in by]), "bt709")
    rgb = np.clip(color.ycbcr_to_rgb(gray, cb, cr, "bt709"), 0, 1)
    cv2.imwrite(str(path), np.rint(np.moveaxis(rgb, 0, -1)[..., ::-1] * 255).astype(np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1400])
def test_suggested_frames_painted_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    """The restorer's round: suggest, paint, give the folder back; the painted frames stand in the film."""
    film, folder, target = tmp_path / "film.mkv", tmp_path / "hints", tmp_path / "out.mkv"
    gray_film(film, first=first)
    config = ColorizeConfig.load(None, [f"hints.folder={folder}", "output.codec=ffv1"])
    paths = write_keyframes(film, folder, config)
    assert len(paths) == 2
    for path in paths:
        tint(path, (18, -12))
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Plain())
    result = colorize_video(film, target, config)
    assert not [w for w in result.warnings if "hint" in w]
    record = json.loads((tmp_path / "out.mkv.json").read_text())
    assert [h["reproduced"] for h in record["hints"]] == [True, True]
    painted = {h["frame"] for h in record["hints"]}
    with open_video(target) as video:
        for frame in video:
            assert frame.chroma is not None
            depth, range_ = frame.layout.depth, frame.color.range
            y = color.codes_to_luma(frame.luma, depth, range_)
            cb, cr = (cv2.resize(color.codes_to_chroma(p, depth, range_), (96, 64)) for p in frame.chroma)
            a, b = color.ycbcr_to_ab(y, cb, cr, frame.color.matrix).reshape(2, -1).mean(axis=1)
            if frame.index in painted:
                assert abs(a - 18) < 1.5 and abs(b + 12) < 1.5, (frame.index, a, b)


def test_suggestions_report_and_never_overwrite_by_themselves(tmp_path: Path) -> None:
    film, folder = tmp_path / "film.mkv", tmp_path / "hints"
    gray_film(film)
    heard: list[Event] = []
    config = ColorizeConfig()
    paths = write_keyframes(film, folder, config, observer=heard.append)
    kinds = [event.kind for event in heard]
    assert "progress" in kinds
    with open_video(film) as video:
        said = list(video.info.warnings)
    assert [event.data["message"] for event in heard if event.kind == "warning"] == said
    paths[0].write_bytes(b"painted")
    with pytest.raises(OutputError, match="--overwrite"):
        write_keyframes(film, folder, config)
    assert paths[0].read_bytes() == b"painted"
    for path in paths:
        path.rename(path.with_suffix(".kept"))
    write_keyframes(film, folder, config)  # another part of the film into the same folder
    assert (folder / "choices/sheet01.jpg").exists() and (folder / "choices/sheet02.jpg").exists()


def test_suggest_says_what_is_wrong_with_the_film(tmp_path: Path) -> None:
    """Losses and warnings of the film are heard, in words and as events."""
    film = tmp_path / "film.mkv"
    gray_film(film, 40)
    data = film.read_bytes()
    film.write_bytes(data[: len(data) * 2 // 3])
    heard: list[Event] = []
    write_keyframes(film, tmp_path / "hints", ColorizeConfig(), observer=heard.append)
    assert any(event.kind == "warning" for event in heard)
    arguments = ["keyframes", str(film), "-o", str(tmp_path / "again")]
    assert "warning: " in CliRunner().invoke(cli, arguments).stderr
    events = [
        json.loads(line)
        for line in CliRunner().invoke(cli, [*arguments, "--overwrite", "--json"]).stdout.split("\n")
        if line
    ]
    assert {"warning", "keyframe"} <= {event["event"] for event in events}


def test_suggest_takes_a_part_and_replaces_when_told(tmp_path: Path) -> None:
    film, folder = tmp_path / "film.mkv", tmp_path / "hints"
    gray_film(film)
    arguments = ["keyframes", str(film), "-o", str(folder), "--start", "0.5"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.stderr
    (path,) = map(Path, done.stdout.split())
    time = hint_time_in_name(path.name)
    assert time is not None and time >= Fraction(1, 2)
    path.write_bytes(b"painted")
    assert CliRunner().invoke(cli, arguments).exit_code == 1
    assert CliRunner().invoke(cli, [*arguments, "--overwrite", "--end", "0.9", "--rate", "24"]).exit_code == 0
    path.write_bytes(b"painted")
    assert CliRunner().invoke(cli, [*arguments, "--overwrite"]).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_painted_folder_and_a_part_of_the_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints of the whole film, given while only its second shot is colored: the first shot's is not pinned to it."""
    film, folder = tmp_path / "film.mkv", tmp_path / "hints"
    gray_film(film)
    for path in write_keyframes(film, folder, ColorizeConfig()):
        tint(path, (18, -12))
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Plain())
    for part, outside in (("input.start=0.5", "0001"), ("input.end=0.5", "0002")):
        config = ColorizeConfig.load(
            None, [f"hints.folder={folder}", "output.codec=ffv1", "output.overwrite=true", part]
        )
        result = colorize_video(film, tmp_path / "out.mkv", config)
        said = [w for w in result.warnings if "lies outside the part that is colored" in w]
        assert len(said) == 1 and f"shot{outside}" in said[0]
        record = json.loads((tmp_path / "out.mkv.json").read_text())
        assert [h["reproduced"] for h in record["hints"] if f"shot{outside}" not in h["name"]] == [True]
        assert all(h["frame"] is None for h in record["hints"] if f"shot{outside}" in h["name"])


class Proposer(Plain):
    """Proposes one flat color after the other."""

    colors = ((20, 10), (-20, 10), (0, -25))

    def propose(self, luma: Array, count: int) -> list[Array]:
        shape = (luma.shape[0] // 4, luma.shape[1] // 4)
        return [np.stack([np.full(shape, v, np.float32) for v in ab]) for ab in self.colors[:count]]


def test_proposals_are_hints_and_the_others_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, folder = tmp_path / "film.mkv", tmp_path / "keys"
    gray_film(film)
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Proposer())
    config = ColorizeConfig.load(None, [f"hints.folder={folder}", "output.codec=ffv1"])
    paths = write_keyframes(film, folder, config, proposals=3)
    assert [path.parent for path in paths] == [folder, folder]
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    names = [path.name for path in paths]
    assert found == sorted([*names, "choices/sheet01.jpg", *(f"choices/{i}/{n}" for i in (2, 3) for n in names)])
    for place, (a, b) in enumerate(Proposer.colors, 1):
        for name in names:
            hint = load_hint(None, folder / (name if place == 1 else f"choices/{place}/{name}"))
            lab = color.rgb_to_lab(np.moveaxis(hint.rgb, -1, 0))
            assert np.median(lab[1]) == pytest.approx(a, abs=1) and np.median(lab[2]) == pytest.approx(b, abs=1)
    result = colorize_video(film, tmp_path / "out.mkv", config)
    assert not [w for w in result.warnings if "hint" in w]
    assert [h["reproduced"] for h in json.loads((tmp_path / "out.mkv.json").read_text())["hints"]] == [True, True]
    with pytest.raises(OutputError, match="--overwrite"):
        write_keyframes(film, folder, config, proposals=3)


def test_a_network_with_one_answer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "film.mkv"
    gray_film(film)
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Plain())
    heard: list[Event] = []
    paths = write_keyframes(film, tmp_path / "keys", ColorizeConfig(), proposals=4, observer=heard.append)
    assert len(paths) == 2 and not (tmp_path / "keys/choices/2").exists()
    assert [e.data["message"] for e in heard if e.kind == "warning"].count("network plain: makes 1 of 4 proposals") == 1
