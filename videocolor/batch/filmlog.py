"""What happens to a film, told three times: in its own log file, in the ledger, and to whoever watches."""

from __future__ import annotations

import time
from pathlib import Path

from videocolor.batch.ledger import Ledger
from videocolor.batch.state import Receipt, state_folder
from videocolor.events import Event, Observer
from videocolor.files import disk_errors

__all__ = ["FilmLog", "log_path"]


def log_path(out: Path, name: str) -> Path:
    """Where the log of a film lies."""
    return state_folder(out) / "logs" / f"{name}.log"


class FilmLog:
    """Keeps the logs of a batch's films.

    Raises (every method):
        OutputError: a log cannot be written.
    """

    def __init__(self, out: Path, ledger: Ledger, observer: Observer) -> None:
        self._out, self._ledger, self._observer = out, ledger, observer
        self._said: dict[str, set[str]] = {}
        folder = log_path(out, "x").parent
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def note(self, film: str, kind: str, text: str, detail: str = "") -> None:
        """Something that is looked up when it is asked for; `detail`: more lines, for the file alone."""
        self._append(film, kind, text, detail)
        if kind != "shard":  # the ledger has a row for each
            self._ledger.log(kind, text, film)

    def warn(self, film: str, text: str) -> None:
        """Something that a person should see now; said once of a film."""
        said = self._said.setdefault(film, set())
        if text in said:
            return
        said.add(text)
        self._append(film, "warning", text)
        self._ledger.log("warning", text, film)
        self._observer(Event("warning", {"message": f"{film}: {text}", "film": film}))

    def done(self, receipt: Receipt) -> None:
        """A film stands under its final name."""
        self._said.pop(receipt.name, None)
        self._append(receipt.name, "done", f"{receipt.target}, {receipt.frames} frames, sha256 {receipt.sha256}")
        self._ledger.log("done", receipt.target, receipt.name)
        rate = receipt.frames / max(receipt.seconds, 1e-6)
        data = {"target": receipt.target, "frames": receipt.frames, "seconds": round(receipt.seconds, 3)}
        self._observer(Event("done", {**data, "fps": round(rate, 2), "film": receipt.name}))

    def _append(self, film: str, kind: str, text: str, detail: str = "") -> None:
        path = log_path(self._out, film)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {kind}: {text}\n" + (f"{detail.rstrip()}\n" if detail else ""))
