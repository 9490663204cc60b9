"""Review: the page, the list, the way back, and that decisions last."""

from __future__ import annotations

import base64
import html.parser
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pairs_helpers import color_film, config

from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.manifest import read_manifest
from videocolor.datasets.pairs.review import apply_decisions, parse_decisions, review_list, review_page, to_review
from videocolor.datasets.pairs.verify import verify_pairs
from videocolor.errors import InputError

NASTY = "</script><script>alert(1)</script> & 'quotes' \"double\" <b>.mp4"


@pytest.fixture(scope="module")
def all_doubtful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    nasty = folder / NASTY.replace("/", "\u2215")
    color_film(nasty, 5)
    result = build_pairs([nasty], folder / "pairs", doubtful())
    assert result.decisions.keys() == {"doubtful"}
    return folder / "pairs"


def doubtful():  # type: ignore[no-untyped-def]
    return config("sampling.rate=2", "scene.accept=0", "scene.reject=200")


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.scripts and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def test_the_page_is_self_contained_and_escaped(all_doubtful: Path) -> None:
    records = to_review(read_manifest(all_doubtful))
    text = review_page(all_doubtful, records)
    page = _Page()
    page.feed(text)
    assert [tag for tag, _ in page.tags].count("script") == 2, "the name did not become a script"
    for tag, attributes in page.tags:
        assert not {"src", "href"} & set(attributes) or tag == "img", "nothing is loaded"
    assert "http:" not in text and "https:" not in text
    assert "default-src 'none'" in text
    pairs = json.loads(page.scripts[0])
    assert [pair["id"] for pair in pairs] == [record.pair_id for record in records]
    assert pairs[0]["source"] == records[0].source, "told exactly, by JSON's own escapes"
    assert [pair["distance"] for pair in pairs] == sorted(record.distance for record in records)
    for data in pairs[0]["pictures"]:
        kind, _, code = data.partition(",")
        assert kind == "data:image/jpeg;base64"
        shown = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == (64, 96, 3)
    for key in ('"a"', "ArrowLeft", "ArrowRight"):
        assert key.strip('"') in page.scripts[1]
    assert ".innerHTML" not in page.scripts[1]


def test_the_page_runs(all_doubtful: Path, tmp_path: Path) -> None:
    """Its keys, in a JavaScript engine where there is one, on a document made of stubs."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    page = _Page()
    page.feed(review_page(all_doubtful, to_review(read_manifest(all_doubtful))[:3]))
    stub = """
const made = {}, heard = {};
const element = () => ({ click() {}, textContent: "", value: "", className: "" });
globalThis.document = {
  getElementById: (id) => made[id] || (made[id] = element()), createElement: element,
  addEventListener: (name, act) => { heard[name] = act; } };
globalThis.window = { addEventListener() {} };
document.getElementById("pairs").textContent = DATA;
"""
    keys = """
for (const key of ["a", "r", "ArrowLeft", "u", "ArrowLeft"]) heard.keydown({ key, preventDefault() {} });
console.log(made.text.value);
"""
    script = stub.replace("DATA", json.dumps(page.scripts[0])) + page.scripts[1] + keys
    (tmp_path / "page.js").write_text(script)
    done = subprocess.run([node, tmp_path / "page.js"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    words = [line.split()[0] for line in done.stdout.strip().splitlines()]
    assert words == ["accept", "?", "?"]


@pytest.mark.slow
def test_there_and_back(all_doubtful: Path, tmp_path: Path) -> None:
    """The list, edited, decides; the manifest follows; a rebuild keeps it, even one from nothing."""
    folder = shutil.copytree(all_doubtful, tmp_path / "pairs")
    before = read_manifest(folder)
    lines = review_list(to_review(before)).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("?"))
    lines[first] = lines[first].replace("?", "accept", 1)
    lines[first + 1] = lines[first + 1].replace("?", "r", 1)
    edited = tmp_path / "edited.txt"
    edited.write_text("\n".join(lines))
    chosen = {lines[first].split()[1]: "accepted", lines[first + 1].split()[1]: "rejected"}

    done = apply_decisions(folder, edited)
    assert (done.accepted, done.rejected, done.unknown) == (1, 1, 0)
    assert done.undecided == len(before) - 2

    def decided() -> dict[str, str]:
        return {r.pair_id: r.decision for r in read_manifest(folder) if r.decision != "doubtful"}

    assert decided() == chosen
    assert verify_pairs(folder) == []
    build_pairs([Path(before[0].source)], folder, doubtful())
    assert decided() == chosen, "a second build reuses the source and keeps the decisions"
    shutil.rmtree(folder / ".build")
    shutil.rmtree(folder / "frames")
    build_pairs([Path(before[0].source)], folder, doubtful())
    assert decided() == chosen, "built from nothing, too"


def test_later_decisions_win(all_doubtful: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(all_doubtful, tmp_path / "pairs")
    one, two = (record.pair_id for record in read_manifest(folder)[:2])
    for text in (f"accept {one}\naccept {two}\n", f"reject {one}\n? {two}\n"):
        (tmp_path / "d.txt").write_text(text)
        apply_decisions(folder, tmp_path / "d.txt")
    found = {r.pair_id: r.decision for r in read_manifest(folder)}
    assert (found[one], found[two]) == ("rejected", "accepted")


def test_unknown_pairs_are_counted(all_doubtful: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(all_doubtful, tmp_path / "pairs")
    (tmp_path / "d.txt").write_text(f"accept {'0' * 20}\n")
    assert apply_decisions(folder, tmp_path / "d.txt").unknown == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yes 0123456789abcdef0123", r"line 1: expected `accept ID`"),
        ("# fine\naccept", r"line 2: expected"),
        ("accept nonsense", r"line 1: expected"),
        (f"accept {'a' * 20}\nreject {'a' * 20}", r"line 2: a{20} was decided otherwise"),
    ],
)
def test_bad_lines_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        parse_decisions(tmp_path / "d.txt")


@pytest.mark.slow
def test_the_command(
    run_cli: Callable[..., subprocess.CompletedProcess[str]], all_doubtful: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(all_doubtful, tmp_path / "pairs")
    done = run_cli("pairs", "review", folder, "--limit", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(folder / "review.txt"), str(folder / "review.html")]
    assert (folder / "review.html").read_text().count("data:image/jpeg") == 6
    text = re.sub(r"^\?", "reject", (folder / "review.txt").read_text(), flags=re.MULTILINE)
    (tmp_path / "d.txt").write_text(text)
    done = run_cli("pairs", "review", folder, "--apply", tmp_path / "d.txt", "--json")
    assert json.loads(done.stdout)["rejected"] == 3
    assert run_cli("pairs", "review", folder, "--apply", tmp_path / "none.txt").returncode == 1
    assert run_cli("pairs", "verify", folder).returncode == 0
