"""What a job file says of a film beside its settings: catalog facts, checksums, columns of the archive's own.

They go into the film's record (`catalog`), into bag-info.txt of its package, and into `OUT/results.csv`.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from videocolor.batch.manifest import read_manifest, update_manifest
from videocolor.batch.receipts import Receipt, read_receipt
from videocolor.batch.state import read_batch
from videocolor.batch.status import FilmStatus
from videocolor.errors import ConfigError, OutputError
from videocolor.files import write_atomically

__all__ = ["CATALOG_KEYS", "DIGESTS", "RESULTS", "check_own", "info_lines", "publish", "read_catalog", "write_results"]

CATALOG_KEYS: Final = ("id", "title", "rights")
DIGESTS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
"""Letters of a checksum by its algorithm."""
RESULTS: Final = "results.csv"
_FREE: Final = "x-"
"""A column that begins so is the archive's own, whatever it resembles."""
_ALIKE: Final = 0.75
"""Similarity from which an unknown column is a misspelled one."""
_LABELS: Final = {"id": "External-Identifier", "title": "Title", "rights": "Rights"}
_OURS: Final = ("bagging-date", "payload-oxum", "bag-software-agent", "bagit-profile-identifier")
_OURS_TOO: Final = ("source-sha256", "restoration", "accepted-damage", "external-description")
"""Lines of bag-info.txt that say what was done here; a column of such a name is of the catalog, and says so."""
_FORMULA: Final = re.compile(r"[=@\t\r]|[+-](?![\d.,]+$)")
"""How a cell begins that spreadsheets run."""


def read_catalog(row: Mapping[str, Any], known: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the catalog facts of a row, and its checksums by algorithm; empty cells are left out.

    Args:
        row: key or column to value.
        known: keys that are settings.

    Raises:
        ConfigError: a key resembles a known one, a value is no text, or a checksum is none.
    """
    allowed = (*known, *CATALOG_KEYS, *DIGESTS)
    catalog: dict[str, str] = {}
    checksums: dict[str, str] = {}
    for key, value in row.items():
        if key in known:
            continue
        near = difflib.get_close_matches(str(key).lower(), allowed, 1, _ALIKE) if key not in allowed else []
        if near and not str(key).startswith(_FREE):
            raise ConfigError(
                f"unknown key {key}; did you mean {near[0]}? (known: {', '.join(allowed)}; "
                f"{_FREE}{key} is a column of your own)"
            )
        if not str(key).strip() or isinstance(value, list | Mapping):
            raise ConfigError(f"{key or 'a key without a name'} = {value!r}: expected one value, with its name")
        text = "" if value is None else " ".join(str(value).split())
        if text and key in DIGESTS:
            checksums[str(key)] = _digest(str(key), text)
        elif text:
            catalog[str(key)] = text
    return catalog, checksums


def _digest(algorithm: str, text: str) -> str:
    if not re.fullmatch(f"[0-9a-fA-F]{{{DIGESTS[algorithm]}}}", text):
        raise ConfigError(f"{algorithm} = {text!r}: expected {DIGESTS[algorithm]} hexadecimal digits")
    return text.lower()


def info_lines(catalog: Mapping[str, str]) -> dict[str, str]:
    """Return catalog facts as lines of bag-info.txt, whose labels hold no colon."""
    lines = {}
    for key, text in catalog.items():
        label = " ".join(_LABELS.get(key, key.removeprefix(_FREE)).replace(":", "-").split()) or key
        lines[f"Catalog-{label}" if label.lower() in (*_OURS, *_OURS_TOO) else label] = text
    return lines


def write_results(out: Path, films: Collection[FilmStatus]) -> Path | None:
    """Write `OUT/results.csv`, a row per film of the batch; return None if no film has catalog facts.

    Raises:
        InputError, OutputError: the list of films or the manifest cannot be read, or something cannot be written.
    """
    jobs = read_batch(out)[1]
    own = list(dict.fromkeys(key for job in jobs for key in job.catalog))
    if not own:
        return None
    states = {film.name: film for film in films}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = ("frames", "sha256", "source_sha256", "warnings", "error")
    writer.writerow(["film", "source", "state", "result", *own, *facts])
    for job in jobs:
        receipt = read_receipt(out, job.name)
        film = states.get(job.name)
        state = "planned" if film is None else film.state
        result = job.target.relative_to(out).as_posix() if receipt is not None else ""
        row = [job.name, job.source, state, result, *(job.catalog.get(key, "") for key in own)]
        cells = [*row, *_made(receipt), "" if film is None else film.error or ""]
        writer.writerow([f"'{cell}" if _FORMULA.match(str(cell)) else cell for cell in cells])
    return publish(out, RESULTS, text.getvalue())


def _made(receipt: Receipt | None) -> list[object]:
    if receipt is None:
        return ["", "", "", ""]
    return [receipt.frames, receipt.sha256, receipt.source_sha256, "; ".join(receipt.warnings)]


def check_own(out: Path, name: str) -> None:
    """Check that a file about the batch can be written: there is none, or the batch has made it.

    Raises:
        InputError: the manifest cannot be read.
        OutputError: somebody else has made it.
    """
    if (out / name).exists() and name not in read_manifest(out)[0]:
        raise OutputError(f"{out / name}: exists already, and this batch has not made it; move it away")


def publish(out: Path, name: str, text: str) -> Path:
    """Write a file about the batch into the output folder, and list it in the manifest; unchanged ones are left alone.

    Raises:
        InputError, OutputError: it cannot be written, or is not ours, or the manifest cannot be read or written.
    """
    path, digest = out / name, hashlib.sha256(text.encode()).hexdigest()
    check_own(out, name)
    if read_manifest(out)[0].get(name) != digest:  # first, so that a file of ours is always listed
        update_manifest(out, (), {name: digest})
    if not path.is_file() or path.read_bytes() != text.encode():
        write_atomically(path, text)
    return path
