"""Train the patch colorizer: self-organizing maps of (u*, v*), and perceptrons that classify patches of lightness.

After Richart, Visca and Baliosian (see `videocolor.published.patches`). One run is a grid: maps of several
sizes, and on one of them every patch size with every network, over several stratified shuffle splits. Each split of
each cell is written to its own file when it is done, so a run that was killed goes on from there:

    OUT/data/                          training pixels
    OUT/maps.json                      codebooks and their quantization errors
    OUT/cells/3x3_50+50_9/split_0.json   accuracies of one network
    OUT/cells/3x3_50+50_9/patches.safetensors   the first split's network, to color films with
    OUT/tables.md, OUT/results.json    the paper's two tables, published values beside ours
    OUT/patches.safetensors            the network of the cell that `film` names
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from videocolor.concurrency.processes import Crew
from videocolor.datasets.pack import PackReader
from videocolor.errors import ConfigError, InputError, ModelError, OutputError, UsageError
from videocolor.events import Event, Observer
from videocolor.files import write_atomically
from videocolor.published.config import Cell, PatchDataConfig, PatchesConfig, PerceptronConfig
from videocolor.published.patch_data import PatchData, choose_images, make_patch_data, open_patch_data, patch_rows
from videocolor.published.patches import PatchClassifier, fit_map, fit_perceptron, nearest, save_network
from videocolor.training.graceful_stop import GracefulStop
from videocolor.types import Array

__all__ = ["PUBLISHED_ACCURACY", "PUBLISHED_ERROR", "patch_tables", "train_patches"]

_FREE = ("out", "workers", "film")
"""Settings that change no number of the run; so do the lists of what is in the grid."""
_PLACES: Final = {"pack", "pairs"}
"""Settings of the data that name folders."""
PUBLISHED_ERROR: Final = {9: 0.621739, 25: 0.4585945, 100: 0.19889, 400: 0.100954}
"""Quantization error by neurons of the map."""
_PUBLISHED_NEURONS: Final = 9
_HIDDEN: Final = ((10,), (50,), (100,), (50, 50), (100, 100), (200, 200), (300, 300))
_PUBLISHED: Final = {
    3: ".376/.371 .383/.379 .387/.378 .419/.409 .429/.405 .474/.402 .497/.399",
    5: ".349/.346 .370/.367 .373/.366 .423/.407 .444/.403 .513/.382 .549/.384",
    11: ".312/.309 .353/.347 .345/.328 .401/.383 .416/.383 .433/.376 .417/.365",
}
PUBLISHED_ACCURACY: Final = {
    (patch, hidden): text
    for patch, row in _PUBLISHED.items()
    for hidden, text in zip(_HIDDEN, row.split(), strict=True)
}
"""Train / test accuracy by patch and hidden layers."""


def train_patches(
    config: PatchesConfig,
    *,
    resume: bool = False,
    stop_after_minutes: float | None = None,
    observer: Observer | None = None,
) -> Path:
    """Run the grid.

    Args:
        config: the settings; results go to `config.out`.
        resume: go on with what is in `config.out`.
        stop_after_minutes: stop after these minutes; `resume` begins unfinished networks again.
        observer: receives progress; None: a bar on stderr, and the tables at the end.

    Returns:
        OUT/patches.safetensors; OUT/tables.md where the run was left before the network of `film` was trained.

    Raises:
        UsageError: minisom or scikit-learn is not installed.
        ConfigError: the run began with other settings.
        InputError: images cannot be read.
        OutputError: there is a run and `resume` is not given, or something cannot be written.
        ModelError: a worker died.
        Interrupted: Ctrl-C or SIGTERM; what was done is kept.
    """
    _check_installed()
    _begin(config, resume)
    with GracefulStop(stop_after_minutes) as stop:
        if not (config.out / "data").exists():
            make_patch_data(config.data, config.out / "data", config.seed)
        data = open_patch_data(config.out / "data")
        maps = _maps(config, data)
        _write_tables(config, data, maps)
        bar = tqdm(total=config.steps, unit="network", disable=observer is not None)
        with bar:
            bar.update(len(_results(config)))
            for result in _trained(config, stop):
                bar.update()
                bar.set_postfix_str(f"{result['cell']} test {result['test']:.3f}", refresh=False)
                if observer is not None:
                    observer(Event("progress", {"stage": "train", **result}))
                _write_tables(config, data, maps)
        tables = config.out / "tables.md"
        stop.raise_if_signaled(f"stopped; {tables} says what is done, --resume goes on")
    network = config.out / "cells" / (config.film or config.cells[0].name) / "patches.safetensors"
    if observer is None:
        tqdm.write(tables.read_text(encoding="utf-8"), file=sys.stderr)
    if not network.exists():
        return tables
    return Path(shutil.copy(network, config.out / "patches.safetensors"))


def _check_installed() -> None:
    try:
        import minisom  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs the package {error.name}: pip install 'videocolor[published]'") from error


def _begin(config: PatchesConfig, resume: bool) -> None:
    """Find a run that was begun before, or begin one."""
    path = config.out / "run.json"
    settings = config.model_dump(mode="json", exclude=set(_FREE))
    settings["perceptron"] = {
        k: v for k, v in settings["perceptron"].items() if k not in ("patches", "hidden", "neurons")
    }
    settings["data"] = config.data.model_dump(mode="json", exclude=_PLACES)
    if not path.exists():
        choose_images(config.data, PackReader(config.data.pack))  # before the folder holds anything
        config.out.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(settings, indent=1) + "\n")
        return
    if not resume:
        raise OutputError(f"{path}: exists; --resume goes on from it, --set out=FOLDER begins another run")
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in settings if before.get(key) != settings[key]]
    if changed:
        raise ConfigError(f"{path}: the run began with other {', '.join(changed)}; --set out=FOLDER begins another run")


def _maps(config: PatchesConfig, data: PatchData) -> dict[str, Any]:
    """Codebooks and errors of all maps; what is in OUT/maps.json is kept. Labels of the chosen maps are written."""
    path = config.out / "maps.json"
    maps: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    uv = data.uv[: data.seen_rows]
    for neurons in config.maps.neurons:
        if str(neurons) not in maps:
            codebook, error = fit_map(uv, neurons, config.maps, config.seed)
            maps[str(neurons)] = {"error": error, "codebook": codebook.tolist()}
            write_atomically(path, json.dumps(maps) + "\n")
    for neurons in config.perceptron.neurons:
        labels = _labels(config.out, neurons)
        if not labels.exists():
            spread = np.clip(uv, -config.maps.limit, config.maps.limit).std(axis=0)
            codebook = np.asarray(maps[str(neurons)]["codebook"], np.float32)
            np.save(labels.with_suffix(".part.npy"), nearest(data.uv / spread, codebook / spread)[0])
            labels.with_suffix(".part.npy").replace(labels)
    return maps


def _labels(out: Path, neurons: int) -> Path:
    return out / "data" / f"labels_{neurons}.npy"


def _trained(config: PatchesConfig, stop: GracefulStop) -> Iterator[dict[str, Any]]:
    """Train what is not done yet, the first split of every cell before the second of any."""
    done = {(row["cell"], row["split"]) for row in _results(config)}
    todo = iter(
        [
            (cell, split)
            for split in range(config.perceptron.splits)
            for cell in config.cells
            if (cell.name, split) not in done
        ]
    )
    pool = Crew(config.workers, _open_worker)
    running: set[Future[dict[str, Any]]] = set()
    try:
        while not stop.due:
            for cell, split in todo:
                running.add(pool.submit(_train_one, config, cell, split))
                if len(running) >= config.workers:
                    break
            if not running:
                return
            finished, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    except BrokenExecutor as error:
        raise ModelError(f"a worker that trains a network died ({error}); try fewer `workers`") from error
    finally:
        pool.end()  # a network takes minutes; unfinished ones are begun again


def _open_worker() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


@lru_cache(maxsize=1)
def _worker_data(
    out: Path, neurons: int, splits: int, train: int, test: int, seed: int
) -> tuple[PatchData, Array, list[Any]]:
    """Load data, labels, and the rows of each split."""
    from sklearn.model_selection import StratifiedShuffleSplit

    data = open_patch_data(out / "data")
    labels = np.load(_labels(out, neurons), allow_pickle=False)
    seen = labels[: data.seen_rows]
    try:
        shuffle = StratifiedShuffleSplit(splits, train_size=train, test_size=test, random_state=seed)
        return data, labels, list(shuffle.split(np.zeros(len(seen)), seen))
    except ValueError as error:
        raise InputError(f"{out / 'data'}: {len(seen)} rows cannot be split {train} / {test}: {error}") from error


def _train_one(config: PatchesConfig, cell: Cell, split: int) -> dict[str, Any]:
    """Train and score one network, write its files."""
    settings = config.perceptron
    rows_of = partial(patch_rows, patch=cell.patch, position=settings.position)
    data, labels, splits = _worker_data(
        config.out, cell.neurons, settings.splits, settings.train, settings.test, config.seed
    )
    began = time.perf_counter()
    train, test = splits[split]
    unseen = np.arange(data.seen_rows, len(labels))
    classifier, epochs = fit_perceptron(rows_of(data, train), labels[train], cell.hidden, settings, config.seed + split)
    result: dict[str, Any] = {"cell": cell.name, **cell._asdict(), "hidden": list(cell.hidden), "split": split}
    result["position"] = settings.position
    for name, rows in (("train", train), ("test", test), ("unseen", unseen)):
        found = classifier.scores(rows_of(data, rows)).argmax(axis=1)
        result[name] = float((found == labels[rows]).mean()) if len(rows) else None
    result |= {"epochs": epochs, "settled": epochs < settings.max_iter, "seconds": time.perf_counter() - began}
    folder = config.out / "cells" / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    if split == 0:
        _write_network(config, classifier, folder / "patches.safetensors", result)
    write_atomically(folder / f"split_{split}.json", json.dumps(result) + "\n")
    return result


def _write_network(config: PatchesConfig, classifier: PatchClassifier, path: Path, result: dict[str, Any]) -> None:
    maps = json.loads((config.out / "maps.json").read_text(encoding="utf-8"))
    codebook = np.asarray(maps[str(result["neurons"])]["codebook"], np.float32)
    notes = {"config": config.model_dump(mode="json", exclude={"out", "workers", "data"}), "result": result}
    notes["data"] = config.data.model_dump(mode="json", exclude=_PLACES)
    save_network(path, classifier, codebook, notes)


def _results(config: PatchesConfig) -> list[dict[str, Any]]:
    """Read what is done, in the grid's order."""
    found = []
    for cell in config.cells:
        for split in range(config.perceptron.splits):
            path = config.out / "cells" / cell.name / f"split_{split}.json"
            if path.exists():
                found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def _write_tables(config: PatchesConfig, data: PatchData, maps: dict[str, Any]) -> None:
    results = _results(config)
    shares = {}
    for neurons in config.perceptron.neurons:
        labels = np.load(_labels(config.out, neurons), allow_pickle=False)[: data.seen_rows]
        shares[neurons] = float(np.bincount(labels).max() / len(labels))
    notes = {
        "rows": data.seen_rows,
        "images": data.seen_rows * len(data.names) // len(data.places),
        "commonest": shares,
        "splits": config.perceptron.splits,
        "position": config.perceptron.position,
        "published": _as_published(config),
    }
    errors = {neurons: float(maps[str(neurons)]["error"]) for neurons in config.maps.neurons}
    write_atomically(config.out / "results.json", json.dumps({**notes, "maps": errors, "networks": results}) + "\n")
    write_atomically(config.out / "tables.md", patch_tables(errors, config.cells, results, notes))


def _as_published(config: PatchesConfig) -> bool:
    """Whether data and perceptron are the paper's in what it says of them."""
    data, perceptron = PatchDataConfig(), PerceptronConfig()
    same = all(getattr(config.data, key) == getattr(data, key) for key in ("images", "size", "pixels"))
    keys = ("position", "train", "test", "lr")
    return same and all(getattr(config.perceptron, key) == getattr(perceptron, key) for key in keys)


def patch_tables(
    errors: Mapping[int, float],
    cells: Sequence[Cell],
    results: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any],
) -> str:
    """Both tables in Markdown, with what must be known to read them.

    Args:
        errors: quantization error by neurons.
        cells: of the grid.
        results: one mapping a trained network: patch, hidden, neurons, train, test, unseen, settled, seconds.
        notes: rows, images, commonest (share of the commonest codeword of each map), splits, position, and whether
            the settings are the published ones: only then published values stand beside ours.
    """
    lines = [f"Learned from {notes['rows']:,} pixels of {notes['images']} images.", ""]
    lines += [_row(["SOM neurons", *map(str, errors)]), _row(["---"] * (1 + len(errors)))]
    if notes["published"]:
        lines += [_row(["published", *(str(PUBLISHED_ERROR.get(neurons, "-")) for neurons in errors)])]
    lines += [_row(["ours", *(f"{error:.6f}" for error in errors.values())]), ""]
    for neurons, share in notes["commonest"].items():
        chosen = [cell for cell in cells if cell.neurons == neurons]
        lines += _accuracies(int(neurons), float(share), chosen, results, notes)
    settled, minutes = sum(bool(r["settled"]) for r in results), sum(r["seconds"] for r in results) / 60
    lines.append(
        f"{len(results)} of {len(cells) * notes['splits']} networks are trained, in {minutes:.0f} minutes of one "
        f"process; {settled} stopped before the last pass allowed."
    )
    return "\n".join(lines) + "\n"


def _accuracies(
    neurons: int,
    share: float,
    cells: Sequence[Cell],
    results: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any],
) -> list[str]:
    """Lines of one map's table; published values stand beside the published configuration only."""
    columns = list(dict.fromkeys(cell.hidden for cell in cells))
    same = neurons == _PUBLISHED_NEURONS and notes["published"]
    lines = [
        f"Train / test accuracy on the map of {neurons} neurons{', with position' * notes['position']}. Always the "
        f"commonest codeword: {share:.3f}. `unseen`: pixels of images outside the training set.",
        "",
        _row(["patch \\ hidden", *("+".join(map(str, hidden)) for hidden in columns)]),
        _row(["---"] * (1 + len(columns))),
    ]
    for patch in dict.fromkeys(cell.patch for cell in cells):
        mine = [
            [r for r in results if (r["patch"], tuple(r["hidden"]), r["neurons"]) == (patch, hidden, neurons)]
            for hidden in columns
        ]
        if same:
            published = (PUBLISHED_ACCURACY.get((patch, hidden), "-") for hidden in columns)
            lines.append(_row([f"{patch}x{patch} published", *published]))
        lines.append(_row([f"{patch}x{patch} ours", *(f"{_mean(r, 'train')}/{_mean(r, 'test')}" for r in mine)]))
        lines.append(_row([f"{patch}x{patch} unseen", *(_mean(r, "unseen") for r in mine)]))
    return [*lines, ""]


def _mean(results: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [r[key] for r in results if r[key] is not None]
    return f"{np.mean(values):.3f}".removeprefix("0") if values else "-"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
