"""Tables of benchmarks/results as Markdown; the page of performance is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["page"]

ROWS = {
    "transcode": "plain transcode",
    "constant": "constant predictor, smoothing off",
    "fused": "constant predictor, smoothing on",
    "default": "default",
    "painted": "painted: a hint in every shot",
    "usual": "the usual way: RGB, scikit-image Lab, network on every frame",
}


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def film(found: dict[str, Any]) -> str:
    """Coloring beside a plain transcode."""
    rows = (
        (ROWS[name], row["fps"], row["of_transcode"], row["cpu_ms_per_frame"]) for name, row in found["rows"].items()
    )
    title = f"{found['height']} lines, {found['frames']} frames, medians of {found['rounds']} rounds ({found['film']})"
    return f"### {title}\n\n" + table(("row", "frames/s", "of transcode", "CPU-ms a frame"), rows)


def start(found: dict[str, Any]) -> str:
    """Start-up."""
    rows = (
        (kind, found[kind]["seconds"], found[kind]["cpu_seconds"], found[kind]["mib"]) for kind in ("help", "second")
    )
    return "### Start-up\n\n" + table(("run", "wall s", "CPU s", "MiB"), rows)


def memory(found: dict[str, Any]) -> str:
    """Peak memory."""
    return "### Memory\n\n" + table(("film", "MiB"), ((name, row["mib"]) for name, row in found["rows"].items()))


def simulated(found: dict[str, Any]) -> str:
    """Growth with workers that sleep."""
    rows = ((row["workers"], row["seconds"], row["times"]) for row in found["rows"])
    title = f"### Workers, simulated: {found['frames']} frames that take {found['cost_ms']:g} ms each\n\n"
    return title + table(("workers", "s", "times as fast"), rows)


def workers(found: dict[str, Any]) -> str:
    """Real workers."""
    rows = (
        (
            row["workers"],
            row["seconds"],
            row["cpu_ms_per_frame"],
            row["main_mib"],
            ", ".join(map(str, row["worker_mib"])),
        )
        for row in found["rows"]
    )
    head = ("workers", "wall s", "CPU-ms a frame", "MiB, main", "MiB, each worker")
    return f"### Workers on this machine ({found['film']})\n\n" + table(head, rows)


def gpu(found: dict[str, Any]) -> str:
    """What benchmarks/gpu.sh found."""
    rows = [
        (step, name, ", ".join(f"{key} {value}" for key, value in row.items()) if isinstance(row, dict) else row)
        for step in ("machine", "parity", "forward", "films")
        for name, row in found.get(step, {}).items()
    ]
    return f"### On {found['device']}\n\n" + table(("step", "what", "found"), rows)


KINDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "film": film,
    "start": start,
    "memory": memory,
    "workers_simulated": simulated,
    "workers": workers,
    "gpu": gpu,
}


def page(results: Path) -> str:
    """All tables of a folder of results, those of other scripts left out."""
    parts = []
    for path in sorted(results.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("kind") in KINDS:
            parts.append(KINDS[found["kind"]](found))
    return "\n".join(parts)
