"""The process of a worker of the local engine: `python -m videocolor.engines.child`, started by it alone.

Tasks come in on stdin, messages go out on stdout, one JSON object per line. Nothing else reaches that stdout:
descriptor 1 becomes stderr before anything is imported that might print. When stdin ends, the driver is gone, and this
process ends a moment later, whatever the work is doing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import IO, Any, Final, NoReturn

from videocolor.concurrency.stopping import check_signals, note_signal
from videocolor.engines.worker import load_work, perform, unpack_task
from videocolor.errors import Interrupted, VideocolorError

__all__ = ["main"]

_ORPHAN_SECONDS: Final = 1.0
"""Time for the work to remove its temporary files once the driver is gone."""


class _Post:
    """Writes messages, complete lines, from any thread."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.unread = False
        """The driver is gone: nobody reads."""

    def send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=True, allow_nan=False)
        try:
            with self._lock:
                self._file.write(line + "\n")
                self._file.flush()
        except BrokenPipeError:
            self.unread = True  # `_listen` ends the process; the work has files to remove


def main() -> NoReturn:
    """Work until stdin ends or SIGTERM comes. Arguments: the work as module:function, heartbeat in seconds."""
    name, heartbeat = sys.argv[1], float(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends its workers
    signal.signal(signal.SIGTERM, _stop)
    code = 1
    try:
        faulthandler.enable()
        post, tasks = _take_pipes()
        threading.Thread(target=_beat, args=(post, heartbeat), daemon=True).start()
        _work(name, post, tasks)
    except Interrupted as error:
        code = error.exit_code
    finally:
        # Threads of libraries may still run; an orderly end could wait for them forever.
        sys.stderr.flush()
        os._exit(code)


def _take_pipes() -> tuple[_Post, queue.SimpleQueue[dict[str, Any]]]:
    post = _Post(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(2, 1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines, tasks), daemon=True).start()
    return post, tasks


def _listen(lines: IO[str], tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in lines:
        if line.endswith("\n"):
            tasks.put(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def _beat(post: _Post, seconds: float) -> None:
    while not post.unread:
        time.sleep(seconds)
        post.send({"kind": "beat"})
    time.sleep(2 * _ORPHAN_SECONDS)  # `_listen` is faster, unless somebody else holds the other end of stdin
    os._exit(1)


def _work(name: str, post: _Post, tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    try:
        work = load_work(name)
    except VideocolorError as error:
        post.send({"kind": "unable", "error": str(error)})
        return
    post.send({"kind": "ready"})
    while True:
        perform(work, unpack_task(tasks.get()), post.send)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:  # `_stop` came: the work failed by it
            raise Interrupted("the worker was asked to stop", 143)


def _stop(*_: object) -> None:
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_signal(lambda: Interrupted("the worker was asked to stop", 143))
    check_signals()


if __name__ == "__main__":
    main()
