"""The report of a run: what it says, what it shows, what it must never do."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media import make_film, planes_of

from videocolor.cli import cli
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError
from videocolor.pages import data_url, data_url_within
from videocolor.record import report_path, write_sidecar
from videocolor.reports.display import read_stills, still_rgb
from videocolor.reports.run import PictureOptions, write_report
from videocolor.types import Array
from videocolor.video import probe

WIDTH, HEIGHT = 96, 64
SHOTS = (40, 30, 20)
"""Frames of each shot of `reel`."""


def luma_of(index: int, shot: int) -> Array:
    """(h, w) uint8: a pattern of the shot's own, whose left half says the number of the frame by its brightness."""
    rng = np.random.default_rng(shot)
    pattern = np.kron(rng.integers(60, 190, (4, 6)), np.ones((16, 16), int))
    pattern[:, : WIDTH // 2] = pattern[:, : WIDTH // 2] // 2 + 40 + index
    return pattern.astype(np.uint8)


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray film of three shots in H.264 with few keyframes."""
    path = tmp_path_factory.mktemp("reel") / "reel.mp4"
    shots = [shot for shot, length in enumerate(SHOTS) for _ in range(length)]
    frames = [
        [luma_of(i, shot), *[np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)] * 2] for i, shot in enumerate(shots)
    ]
    options = {"qp": "4", "g": "500", "bf": "2"}
    make_film(
        path,
        frames,
        "libx264",
        size=(WIDTH, HEIGHT),
        rate=Fraction(25),
        tags={"color_range": 1, "colorspace": 6},
        options=options,
    )
    return path


def settings(*more: str) -> ColorizeConfig:
    words = ["model.name=constant", "output.codec=libx264", "output.options={qp: 4}", "output.report=true", *more]
    return ColorizeConfig.load(None, words)


@pytest.fixture(scope="module")
def colored(reel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("colored") / "reel_color.mp4"
    colorize_video(reel, target, settings())
    return target


class Page(HTMLParser):
    """What stands in a page, by parsing."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str, **wanted: str) -> Iterator[dict[str, str | None]]:
        for name, attributes in self.tags:
            if name == tag and all(attributes.get(key.rstrip("_")) == value for key, value in wanted.items()):
                yield attributes

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def picture(url: str | None) -> Array:
    """(h, w) or (h, w, 3) uint8 R'G'B' of a URL."""
    assert url is not None
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else image[..., ::-1]


def pictures(page: Page) -> list[tuple[Array, Array]]:
    """Before and after of each shot."""
    found = [(str(a.get("alt")), picture(a["src"])) for a in page.all("img") if "shot" in str(a.get("alt"))]
    assert all(alt.endswith(", before") for alt, _ in found[::2]) and all(
        alt.endswith(", after") for alt, _ in found[1::2]
    )
    return [(a, b) for (_, a), (_, b) in zip(found[::2], found[1::2], strict=True)]


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_every_shot_with_the_same_frame_before_and_after(colored: Path) -> None:
    page = read(report_path(colored))
    shown = pictures(page)
    assert len(shown) == len(SHOTS) == len(list(page.all("section", class_="shot")))
    start = 0
    for (before, after), (shot, length) in zip(shown, enumerate(SHOTS), strict=True):
        index = start + length // 2  # all are shorter than two seconds
        truth = (luma_of(index, shot).astype(float) - 16) * 255 / 219
        assert before.ndim == 2, "a gray film is stored gray"
        assert before.shape == (HEIGHT, WIDTH)
        # One step of brightness is one frame.
        half = np.s_[:, : WIDTH // 2]
        assert np.mean(before[half]) == pytest.approx(truth[half].mean(), abs=0.45)
        assert after.ndim == 3 and np.ptp(after.astype(int), axis=2).mean() > 8, "the result is in color"
        luma = after @ [0.299, 0.587, 0.114]
        assert np.mean(luma[half]) == pytest.approx(truth[half].mean(), abs=0.6)
        start += length


def test_what_it_says(reel: Path, colored: Path) -> None:
    page, record = read(report_path(colored)), json.loads(Path(f"{colored}.json").read_text())
    for said in (
        "reel_color.mp4",
        str(reel),
        record["source"]["sha256"],
        "BT.601 (6) \N{EM DASH} assumed, the file does not say",
        "BT.601 \N{EM DASH} as the file says",
        "model.name constant",
        "output.codec libx264",
        "0:00:01.600 to 0:00:02.800, frames 40 to 69",
        "reuses the colors" if any(shot["reuses"] for shot in record["shots"]) else "no hint",
        *record["notes"],
        *record["warnings"],
    ):
        assert said in page.text, said
    assert "smoothing.decay" not in page.text, "defaults are not listed"
    timing = record["timing"]
    assert timing["frames"] == sum(SHOTS) and timing["workers"] == 1
    assert 0 < timing["work_seconds"] <= timing["elapsed_seconds"]
    assert f"{timing['frames'] / timing['work_seconds']:.1f} frames/s" in page.text


def test_it_fetches_nothing_and_runs_only_its_own(colored: Path) -> None:
    text = report_path(colored).read_text(encoding="utf-8")
    page = Page(text)
    policy = next(str(a["content"]) for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "link", "base", "form", "video", "audio")
        for key, value in attributes.items():
            assert not key.startswith("on") and key != "style"
            if key in ("src", "href"):
                assert str(value).startswith(("data:image/jpeg;base64,", "#"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert all(str(a["href"])[1:] in ids for a in page.all("a"))
    assert all(a.get("alt") is not None for a in page.all("img"))
    assert all(a.get("aria-label") for a in page.all("input"))


EVIL = "<img src=x onerror=alert(1)>\"'&<script>x()</script>"


@pytest.mark.slow
def test_hostile_names_and_texts_stay_texts(reel: Path, tmp_path: Path) -> None:
    target = tmp_path / f"{EVIL.replace('/', '')}.mp4"
    colorize_video(reel, target, settings())
    record = json.loads(Path(f"{target}.json").read_text())
    record["warnings"] = [EVIL]
    record["notes"] = [EVIL]
    record["label"] = record["videocolor"] = EVIL
    record["model"]["title"] = record["model"]["name"] = record["runtime"] = EVIL
    record["hints"] = [{"name": EVIL, "time": 1.0, "frame": 3, "reproduced": True, "shots": {EVIL: 0.5}}]
    record["shots"][0]["hints"] = [EVIL, EVIL + "2"]
    record["config"]["output"]["options"] = {EVIL: EVIL}
    record["config"][EVIL] = {EVIL: [EVIL]}
    record["assumed_color"]["matrix"] = record["assumed_color"]["range"] = EVIL
    record["output"]["left_out"] = [EVIL]
    page = read(write_report(reel, target, record, tmp_path / "evil.html"))
    assert not [a for a in page.all("img") if a.get("src") == "x"]
    assert len(list(page.all("script"))) == 1
    assert page.text.count(" ".join(EVIL.split())) >= 10


@pytest.mark.slow
def test_hints_are_shown_once_and_linked(reel: Path, tmp_path: Path) -> None:
    hint = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    hint[..., 2], hint[:, : WIDTH // 2, 3] = 200, 255  # red, the right half not painted
    cv2.imwrite(str(tmp_path / "red hint.png"), hint)
    target = tmp_path / "out.mp4"
    words = [f'hints.items=["{tmp_path}/red hint.png"]', "hints.min_similarity=0.0", "model.name=hint"]
    colorize_video(reel, target, settings(*words))
    record = json.loads(Path(f"{target}.json").read_text())
    page = read(report_path(target))
    (shown,) = [a for a in page.all("img") if a.get("alt") == "hint 1"]
    red, gray = picture(shown["src"])[:, 8], picture(shown["src"])[:, -8]
    assert red.mean(axis=0) == pytest.approx([200, 0, 0], abs=8)
    assert gray.mean(axis=0) == pytest.approx([128] * 3, abs=4), "what is not painted is gray"
    assert page.text.index("Shot 1") < page.text.index("red hint") < page.text.index("sha256"), "pictures first"
    named = {**record, "hints": [{**record["hints"][0], "frame": 8}]}
    (over,) = [
        a
        for a in read(write_report(reel, target, named, tmp_path / "over.html")).all("img")
        if a.get("alt") == "hint 1"
    ]
    assert picture(over["src"])[:, -WIDTH // 3 :].std() > 10, "what is not painted is the frame"
    used = [shot for shot in record["shots"] if shot["hints"]]
    assert used and len(list(page.all("a", href="#hint-1"))) == len(used)
    assert f"confidence {used[0]['confidence']:.2f}" in page.text
    (tmp_path / "red hint.png").unlink()
    events: list[str] = []
    write_report(reel, target, observer=lambda event: events.append(str(event.data.get("message", ""))))
    assert any("no such hint file" in said for said in events)
    assert "no such hint file" in read(report_path(target)).text


def test_size_is_bounded(reel: Path, colored: Path, tmp_path: Path) -> None:
    few = PictureOptions(shots=2, shot_bytes=5000)
    page = read(write_report(reel, colored, None, tmp_path / "few.html", pictures=few))
    assert len(pictures(page)) == 2 and len(list(page.all("section", class_="shot"))) == 3
    assert "3 shots. Pictures of 2 of them (of at most 2)." in page.text
    for options, most in ((few, 2500), (PictureOptions(total_bytes=9000), 1500)):
        page = read(write_report(reel, colored, None, tmp_path / "x.html", pictures=options))
        sizes = [len(str(a["src"])) for a in page.all("img")]
        assert sizes and max(sizes) <= most
    low = read(write_report(reel, colored, None, tmp_path / "x.html", pictures=PictureOptions(height=32)))
    assert {b.shape[:2] for _, b in pictures(low)} == {(32, 48)}


def test_a_picture_within_a_number_of_bytes() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    for most in (100_000, 20_000, 4000):
        url = data_url_within(noise, most)
        assert most / 6 < len(url) <= most
    assert data_url_within(noise, 10**6) == data_url(noise), "nothing is lost without need"
    assert picture(data_url_within(noise, 10)).shape[0] < 2 * 24, "it ends"


def test_a_trimmed_film_shows_its_own_part(reel: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.mp4"
    colorize_video(reel, target, settings("input.start=1.6", "input.end=2.4"))
    ((before, after),) = pictures(read(report_path(target)))
    truth = (luma_of(50, 1).astype(float) - 16) * 255 / 219
    half = np.s_[:, : WIDTH // 2]
    assert np.mean(before[half]) == pytest.approx(truth[half].mean(), abs=0.45)
    assert np.mean((after @ [0.299, 0.587, 0.114])[half]) == pytest.approx(truth[half].mean(), abs=0.6)


@pytest.mark.slow
def test_in_one_go_into_images_and_after_a_change(reel: Path, tmp_path: Path) -> None:
    words = ["output.resume=false", "output.codec=ffv1", "output.options={}"]
    colorize_video(reel, tmp_path / "one.mkv", settings(*words))
    assert len(pictures(read(tmp_path / "one.mkv.html"))) == 3
    result = colorize_video(
        reel, tmp_path / "all_%03d.png", ColorizeConfig.load(None, ["model.name=constant", "output.report=true"])
    )
    assert result.report == tmp_path / "all_%03d.png.html"
    assert len(pictures(read(result.report))) == 3


def test_both_pictures_have_the_shape_of_the_film(tmp_path: Path) -> None:
    frames = [[luma_of(i, 1), *[np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)] * 2] for i in range(6)]
    make_film(tmp_path / "film.mkv", frames, "libx264", size=(WIDTH, HEIGHT), sar=Fraction(1, 2), options={"qp": "4"})
    colorize_video(tmp_path / "film.mkv", tmp_path / "out.mkv", settings("output.codec=ffv1", "output.options={}"))
    ((before, after),) = pictures(read(tmp_path / "out.mkv.html"))
    assert before.shape[:2] == after.shape[:2] == (HEIGHT, WIDTH // 2)


@pytest.mark.slow
def test_recolored_shots_give_a_new_report(reel: Path, tmp_path: Path) -> None:
    from videocolor.colorize import recolor_film

    target = tmp_path / "out.mp4"
    colorize_video(reel, target, settings())
    first = report_path(target).read_bytes()
    recolor_film(reel, target, settings("chroma.saturation=0.0"), "2")
    shown = pictures(read(report_path(target)))
    assert report_path(target).read_bytes() != first
    gray = [b.ndim == 2 or float(np.ptp(b.astype(int), axis=2).mean()) < 3 for _, b in shown]
    assert gray == [False, True, False]
    timing = json.loads(Path(f"{target}.json").read_text())["timing"]
    assert timing["frames"] == SHOTS[1], "what was kept took no time"


@pytest.mark.slow
def test_what_stands_there_is_not_replaced_unasked(reel: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    report_path(target).write_text("somebody's")
    with pytest.raises(OutputError, match=r"out\.mp4\.html: exists"):
        colorize_video(reel, target, settings())
    assert report_path(target).read_text() == "somebody's" and not target.exists()
    colorize_video(reel, target, settings("output.overwrite=true"))
    assert report_path(target).read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_without_asking_there_is_none(reel: Path, tmp_path: Path) -> None:
    result = colorize_video(reel, tmp_path / "out.mp4", settings("output.report=false"))
    assert result.report is None and not report_path(tmp_path / "out.mp4").exists()
    result = colorize_video(reel, tmp_path / "b.mp4", settings("output.sidecar=false"))
    assert result.report is not None and result.sidecar is None


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"videocolor": "1", "shots": 3}'])
def test_records_that_cannot_be_read(text: str | None, reel: Path, colored: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(colored.read_bytes())
    if text is not None:
        Path(f"{target}.json").write_text(text)
    with pytest.raises(InputError, match=r"out\.mp4\.json"):
        write_report(reel, target)
    assert not report_path(target).exists()


def test_another_film_is_not_shown_as_the_source(colored: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    frames = [[luma_of(0, 77)[::-1], *[np.full((32, 48), 128, np.uint8)] * 2]] * sum(SHOTS)
    make_film(other, frames, "libx264", size=(WIDTH, HEIGHT), rate=Fraction(25))
    page = read(write_report(other, colored, None, tmp_path / "x.html"))
    assert not pictures(page)
    assert "3 shots have no picture in the report (1, 2, 3)" in page.text


def test_a_record_of_other_paths(reel: Path, colored: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        write_report(tmp_path / "none.mp4", colored)
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(reel, colored, None, tmp_path / "missing" / "x.html")
    record: dict[str, Any] = json.loads(Path(f"{colored}.json").read_text())
    record["shots"] = []
    assert "0 shots." in read(write_report(reel, colored, record, tmp_path / "x.html")).text


def test_stills_are_the_frames_of_the_whole_film(reel: Path) -> None:
    with av.open(str(reel)) as film:
        frames = [(f.pts * Fraction(f.time_base), planes_of(f)[0].copy()) for f in film.decode(video=0)]
    wanted = [0, 3, 39, 40, 41, 77, 89]
    step = Fraction(1, 1000)
    found = list(read_stills(probe(reel), [frames[i][0] - step for i in wanted] + [Fraction(99)]))
    assert found.pop() is None
    for index, still in zip(wanted, found, strict=True):
        assert still is not None and still.pts * still.time_base == frames[index][0]
        np.testing.assert_array_equal(still.luma, frames[index][1])


def test_stills_of_a_film_whose_clock_starts_anew(tmp_path: Path) -> None:
    for name in ("a.ts", "b.ts"):
        frames = [[np.full((64, 96), 40 + 3 * i, np.uint8), *[np.full((32, 48), 128, np.uint8)] * 2] for i in range(40)]
        options = {"qp": "2", "g": "5"}
        make_film(tmp_path / name, frames, "libx264", size=(96, 64), rate=Fraction(25), options=options)
    (tmp_path / "film.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    info = probe(tmp_path / "film.ts")
    first = info.start_pts * info.time_base
    found = list(read_stills(info, [first + Fraction(n, 25) for n in (2, 45, 78)]))
    assert [round(float(f.luma.mean() - 40) / 3) for f in found if f is not None] == [2, 5, 38]


def test_stills_are_shown_as_players_show_them(tmp_path: Path) -> None:
    """Red in BT.601 at a sample aspect of 2: R' = 1 and twice the width."""
    planes = [np.full((64, 48), 81, np.uint8), np.full((32, 24), 90, np.uint8), np.full((32, 24), 240, np.uint8)]
    film = tmp_path / "red.mp4"
    make_film(
        film, [planes] * 2, "libx264", size=(48, 64), sar=Fraction(2), tags={"color_range": 1}, options={"qp": "1"}
    )
    info = probe(film)
    (still,) = read_stills(info, [Fraction(0)])
    assert still is not None
    rgb = still_rgb(still, info, 999, 999)
    assert rgb.shape == (64, 96, 3)
    assert np.abs(rgb.astype(int) - [254, 0, 0]).max() <= 3
    assert still_rgb(still, info, 999, 32).shape == (32, 48, 3)


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_flags(reel: Path, tmp_path: Path) -> None:
    model = ("--set", "model.name=constant", "-q")
    assert run("colorize", "--report", reel, tmp_path / "a.mp4", *model) == 0
    assert (tmp_path / "a.mp4.html").is_file()
    bag = ("--set", "archive.bag=true") if importlib.util.find_spec("bagit") else ()
    assert run("batch", "run", reel, "-o", tmp_path / "out", "--report", *model, *bag) == 0
    page = read(tmp_path / "out" / "reel_colorized.mkv.html")
    assert len(pictures(page)) == 3
    record = json.loads((tmp_path / "out" / "reel_colorized.mkv.json").read_text())
    assert record["timing"]["elapsed_seconds"] is None and record["timing"]["work_seconds"] > 0
    assert not bag or (tmp_path / "out/reel_colorized.mkv.bag/data/reel_colorized.mkv.html").is_file()
    film = tmp_path / "out" / "reel_colorized.mkv"
    before = film.stat().st_mtime_ns
    assert run("batch", "run", reel, "-o", tmp_path / "out", *model) == 0
    assert film.stat().st_mtime_ns == before, "the report is no reason to color a film again"


def test_a_record_without_timing_is_an_older_one(reel: Path, colored: Path, tmp_path: Path) -> None:
    record = json.loads(Path(f"{colored}.json").read_text())
    del record["timing"]
    target = tmp_path / "old.mp4"
    target.write_bytes(colored.read_bytes())
    write_sidecar(target, record)
    assert "not recorded" in read(write_report(reel, target)).text


def test_the_page_of_an_earlier_film(
    reel: Path, colored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert run("report", reel, colored, "-o", page) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_bytes() == report_path(colored).read_bytes(), "the same as at the end of the run"
    assert run("report", reel, colored, "-o", page) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert run("report", reel, colored, "-o", page, "--overwrite", "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"event": "report", "path": str(page)}
    assert run("report", reel, tmp_path / "none.mp4") == 1
