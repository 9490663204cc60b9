"""Write the tables of the documentation out of benchmarks/results, so that nobody types a figure.

    python pipelines/result_tables.py write                      # after a benchmark has written its file again
    python pipelines/result_tables.py keep auto_1s OUT/table.json...   # results of `videocolor evaluate`, means alone

A page has a line `<!-- table: NAME -->` where a table of `TABLES` belongs, or `<!-- table: evaluate/NAME -->`; what is
between that line and `<!-- end -->` is replaced. A test asks that pages and results agree.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = ROOT / "benchmarks/results"
_MARK: Final = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_COLUMNS: Final = {
    "psnr_rgb": ("PSNR, dB", 2),
    "psnr_vs_auto": ("against none, dB", 2),
    "ciede2000_mean": ("dE00", 2),
    "edge_ciede2000": ("at color edges", 2),
    "colorfulness": ("colorfulness", 1),
    "beyond_tint": ("beyond a tint", 1),
    "flicker": ("flicker", 2),
    "drift": ("drift", 2),
}
"""Score -> heading and decimals, in the order of the table."""
_ROWS: Final = {
    "transcode": "plain transcode",
    "constant": "one color, no smoothing",
    "fused": "one color, smoothing",
    "default": "default, no hint",
    "painted": "first frame painted",
    "usual": "the usual way: RGB, Lab, network on every frame",
}


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def load(name: str) -> Any:
    """Read a file of the results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def _film() -> str:
    small, large = load("film_480")["rows"], load("film_1080")["rows"]
    keys = ("fps", "of_transcode", "cpu_ms_per_frame")
    head = ["", "480p: fps", "of transcode", "CPU-ms", "1080p: fps", "of transcode", "CPU-ms"]
    cells = [
        [_ROWS[row], *(part.get(row, {}).get(key, "–") for part in (small, large) for key in keys)] for row in small
    ]
    return table(head, cells)


def _runtimes() -> str:
    found = load("runtimes")
    rows = []
    for name, auto in found["automatic"]["rows"].items():
        hinted = found["painted"]["rows"].get(name, {})
        cells = [f"{part[key]:.{places}f}" if part else "–" for part in (auto, hinted) for key, places in _RUNTIME]
        rows.append([name, *cells])
    return table(["runtime", "no hint: CPU-ms", "dE00", "one hint: CPU-ms", "dE00"], rows)


_RUNTIME: Final = (("cpu_ms", 1), ("de00_mean", 2))


def _int8() -> str:
    found = load("int8")
    rows = [
        [
            f"`{protocol}`, {method}",
            *(f"{found[protocol][kind][method]['ciede2000_mean']:.2f}" for kind in ("fp32", "int8")),
        ]
        for protocol in ("auto", "e1")
        for method in ("network", "videocolor")
    ]
    return table(["dE00", "fp32", "int8"], rows)


def _anchors() -> str:
    found = load("anchors")
    keys = (("psnr_rgb", 2), ("ciede2000_mean", 2), ("edge_ciede2000", 2), ("flicker", 3), ("cpu_ms", 1))
    rows = []
    for kind, words in (("auto", "no hint"), ("e1", "painted")):
        for every, row in found[kind].items():
            cells = [f"{row[key]:.{places}f}" for key, places in keys]
            rows.append([f"{words}, every {every}", *cells, f"{row['network_share']:.0%}"])
    return table(
        ["keyframes", "PSNR, dB", "dE00", "at color edges", "flicker", "CPU-ms a frame", "seen by the network"], rows
    )


def _smoothing() -> str:
    found = load("quality")["means"]
    keys = (("rgb_psnr", 2), ("de00", 2), ("edge", 2), ("flicker", 2))
    rows = [
        [f"{words}, {name}", *(f"{found[kind][name][key]:.{places}f}" for key, places in keys)]
        for kind, words in (("e1", "hinted"), ("auto", "automatic"))
        for name in ("smoothing off", "default", "bilinear")
    ]
    return table(["", "PSNR, dB", "dE00", "at color edges", "flicker"], rows)


def _preview() -> str:
    small, large = load("preview_480")["rows"], load("preview_1080")["rows"]
    words = {"automatic": "automatic", "painted": "first frame painted", "cold": "automatic, nothing loaded yet"}
    rows = [
        [words[name], *(part[name][key] for key in ("first_s", "all_s") for part in (small, large))] for name in words
    ]
    return table(["", "first picture, s: 480p", "1080p", "last picture, s: 480p", "1080p"], rows)


def _batch() -> str:
    found = load("batch_overhead")
    rows = [[name, f"{found['seconds'][name]:.1f}", f"{found['cpu_seconds'][name]:.1f}"] for name in found["seconds"]]
    return table(["", "seconds", "CPU-seconds"], rows)


def _driver() -> str:
    found = load("batch_scale")
    return table(
        ["films", "shards", "driver: CPU s", "CPU-ms a shard", "peak MiB", "nothing left to do, s"],
        [
            [
                found[key]
                for key in ("films", "shards", "driver_cpu_s", "driver_cpu_ms_a_shard", "peak_mib", "nothing_to_do_s")
            ]
        ],
    )


def _determinism() -> str:
    found = load("determinism")
    first = sum(next(iter(found.values()))["bytes"])
    rows = [
        [
            name,
            row["films"],
            len(row["differ"]),
            f"{sum(row['bytes']) / first - 1:+.1%}" if row["seconds"] == 2 else "–",
        ]
        for name, row in found.items()
    ]
    return table(["encoder", "films", "differ between two runs", "bytes"], rows)


def _metrics() -> str:
    rows = [[name, f"{value:.1f}"] for name, value in load("metrics")["cpu_ms_per_frame"].items()]
    return table(["piece", "CPU-ms a frame"], rows)


def _surfaces() -> str:
    found = load("surfaces")
    keys = ("psnr_rgb", "colorfulness_share", "patches", "patches_p90")
    head = ["", "PSNR, dB", "colorfulness of truth's", "patches", "90th percentile"]
    return table(head, [[name, *(found[name][key] for key in keys)] for name in ("without", "with")])


def _pieces() -> str:
    found = load("ablation")
    sets = {"held_back": "held back", "moving": "moving", "far": "last frame"}
    every = {clips: found[clips]["all pieces"] for clips in sets}
    rows = []
    for name in dict.fromkeys(name for clips in sets for name in found[clips] if name != "all pieces"):
        gains = [
            f"{every[clips][key] - found[clips][name][key]:+.{places}f}" if name in found[clips] else "–"
            for clips in sets
            for key, places in (("psnr_rgb", 2), ("ciede2000_mean", 3))
        ]
        rows.append([name, *gains, *(every[clips]["cpu_ms"].get(name, "–") for clips in ("held_back", "far"))])
    heads = (f"{words}: {unit}" for words in sets.values() for unit in ("dB", "dE00"))
    return table(["piece", *heads, "CPU-ms", "last frame: CPU-ms"], rows)


def _holes() -> str:
    now, before = load("holes"), load("holes_before")
    cells = ((now, "whole"), (before, "with holes"), (now, "with holes"))
    rows = [[clips, *("{:.2f} / {:.2f}".format(*found[clips][kind]) for found, kind in cells)] for clips in now]
    return table(["clips", "painted all over", "with holes, before", "with holes"], rows)


def _things() -> str:
    names = {"before": "things_before", "now": "things"}
    head = ["", "C*ab inside", "spread inside", "beyond a tint, of the frames"]
    found = {name: load(file)["means"] for name, file in names.items()}
    return table(
        head, [[name, means["chroma"], means["spread"], means["beyond_tint"]] for name, means in found.items()]
    )


def _skin() -> str:
    keys = ("faces", "ciede2000", "gray_ciede2000", "true_chroma", "chroma")
    head = ["L* of the face", "faces", "dE00", "dE00 of gray", "C*ab of the truth", "C*ab"]
    return table(head, [[tone, *(row[key] for key in keys)] for tone, row in load("skin").items()])


def _scaling() -> str:
    found = load("scaling")
    words = {
        "decode_access_ms": "decode H.264",
        "encode_master_ms": "encode FFV1 (`master`)",
        "encode_access_ms": "encode H.264 (`access`)",
        "framemd5_ms": "digest the luma of an FFV1 film",
    }
    rows = [[text, *(f"{found[size][key]:.1f}" for size in ("480", "1080"))] for key, text in words.items()]
    sizes = [["kB a frame, FFV1", *(f"{found[size]['bytes_master'] / 1000:.0f}" for size in ("480", "1080"))]]
    return table(["CPU-ms a frame", "480p", "1080p"], rows + sizes)


def _weights() -> str:
    from videocolor.models.artifact import read_card

    rows = []
    for name in ("hint", "keyframe"):
        path = ROOT / f"videocolor/models/weights/{name}.safetensors"
        card, architecture = read_card(path)[:2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        work = f"{card.macs / 1e9:.2f} G"
        rows.append([f"`{path.name}`", size, f"`{architecture}`", f"{card.parameters:,}", work, f"`{digest}`"])
    return table(["file", "size", "format", "parameters", "MACs at 256x256", "sha256"], rows)


def _limits() -> str:
    start = load("start")
    rows = {"`--help`": start["help"], "one second of film, 480 lines": start["second"]}
    rows |= load("memory")["rows"] | {f"{name} of film, 64x48": row for name, row in load("length")["rows"].items()}
    return table(["run", "wall s", "MiB"], ([name, row["seconds"], row["mib"]] for name, row in rows.items()))


def _workers() -> str:
    real = load("workers_measured")["rows"]
    cells = [
        (f"{count}, on two cores", statistics.median(row["seconds"] for row in real if row["workers"] == count), "")
        for count in (1, 2)
    ]
    cells += [(f"{row['workers']}, simulated", row["seconds"], row["times"]) for row in load("workers")["rows"]]
    return table(["workers", "wall s", "times as fast"], cells)


def _text(name: str) -> Callable[[], str]:
    return lambda: f"```text\n{(RESULTS / name).read_text().rstrip()}\n```\n"


def evaluation(name: str) -> str:
    """Return the table of kept results of `videocolor evaluate`."""
    rows = load(f"evaluate/{name}")["summary"]
    columns = [key for key in _COLUMNS if any(key in row["means"] for row in rows)]
    cells = []
    for row in rows:
        title = row["method"] + (f", {row['case']}" if row["case"] else "")
        cells.append([title, *(_mean(row["means"].get(key), _COLUMNS[key][1]) for key in columns)])
    return table(["method", *(_COLUMNS[key][0] for key in columns)], cells)


def _mean(value: dict[str, float] | None, places: int) -> str:
    if value is None:
        return "–"
    near = value["low"] == value["high"] == value["value"]
    width = "" if near else f" [{value['low']:.{places}f}, {value['high']:.{places}f}]"
    return f"{value['value']:.{places}f}{width}"


TABLES: Final[dict[str, Callable[[], str]]] = {
    "film": _film,
    "runtimes": _runtimes,
    "int8": _int8,
    "keyframes": _anchors,
    "smoothing": _smoothing,
    "preview": _preview,
    "batch": _batch,
    "driver": _driver,
    "determinism": _determinism,
    "metrics": _metrics,
    "surfaces": _surfaces,
    "pieces": _pieces,
    "limits": _limits,
    "workers": _workers,
    "things": _things,
    "holes": _holes,
    "skin": _skin,
    "scaling": _scaling,
    "weights": _weights,
    "restoration_gain": _text("restoration_gain.txt"),
    "restoration_cost": _text("restoration_cost.txt"),
}


def filled(text: str) -> str:
    """Return a page with its tables made again."""

    def made(match: re.Match[str]) -> str:
        kind, _, name = match[2].partition("/")
        return f"{match[1]}\n{evaluation(name) if kind == 'evaluate' else TABLES[kind]()}\n{match[4]}"

    return _MARK.sub(made, text)


@click.group(help=__doc__)
def main() -> None: ...


@main.command()
def write() -> None:
    """Write the tables of all pages."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            page.write_text(filled(text), encoding="utf-8")
            click.echo(page.relative_to(ROOT))


@main.command()
@click.argument("name")
@click.argument("tables", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def keep(name: str, tables: tuple[Path, ...]) -> None:
    """Keep the means of table.json files of one protocol and set of clips as benchmarks/results/evaluate/NAME.json."""
    found = [json.loads(path.read_text()) for path in tables]
    if len({json.dumps([one["protocol"], one["settings"]["clips"]]) for one in found}) > 1:
        raise click.UsageError("protocol or clips differ")
    rows: dict[tuple[str, str], Any] = {}
    for one in found:
        for row in one["summary"]:
            means = {key: value for key, value in row["means"].items() if key in _COLUMNS}
            shown = {
                key: {part: round(mean[part], 4) for part in ("value", "low", "high")} for key, mean in means.items()
            }
            rows[row["method"], row["case"]] = {"method": row["method"], "case": row["case"], "means": shown}
    kept = {
        "protocol": found[0]["protocol"],
        "clips": found[0]["settings"]["clips"],
        "videocolor": found[0]["videocolor"],
        "summary": list(rows.values()),
    }
    target = RESULTS / "evaluate" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(kept, indent=1) + "\n")
    click.echo(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
