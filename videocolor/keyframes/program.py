"""A command of the user's that colors pictures: run for each of them, or once for all, by lines of JSON.

`CMD {in} {out}` is run for each picture, without a shell. A command without placeholders is started once: it reads a
line `{"in": PATH, "out": PATH, ...}` of its standard input for each picture, writes the picture, and answers with a
line `{"out": PATH}` or `{"error": TEXT}`; its first line may be `{"program": NAME, "version": TEXT}`.
docs/guides/hints.md describes both.
"""

from __future__ import annotations

import json
import queue
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Any, Final, Self

from videocolor.concurrency.processes import end_group
from videocolor.errors import ProgramError, UsageError
from videocolor.files import file_sha256

__all__ = ["Program", "Runner"]

_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")
_SAID: Final = 300
"""Characters of a program's output that an error quotes."""
_CLOSED: Final = 2.0
"""Seconds that a program has to end after it has closed its output."""
_END: Final = 10.0
"""Seconds that a program has to end after its last picture."""


@dataclass(frozen=True)
class Program:
    """A command, and how long and how often it is tried.

    Raises:
        UsageError: it cannot be parsed, has wrong placeholders, or there is no such program.
    """

    command: str
    timeout: float = 600.0
    """Seconds for one picture; the first also loads the model."""
    retries: int = 1
    """Further tries for a picture."""
    arguments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        try:
            arguments = tuple(shlex.split(self.command))
        except ValueError as error:
            raise UsageError(f"program {self.command!r}: cannot be split into arguments: {error}") from error
        names = [name for part in arguments for name in _PLACEHOLDER.findall(part)]
        if wrong := [name for name in names if name not in ("in", "out")]:
            raise UsageError(f"program {self.command!r}: no placeholder {{{wrong[0]}}}; expected {{in}} and {{out}}")
        if names and set(names) != {"in", "out"}:
            raise UsageError(f"program {self.command!r}: needs both {{in}} and {{out}}, or neither (lines of JSON)")
        if not arguments or shutil.which(arguments[0]) is None:
            name = arguments[0] if arguments else "nothing"
            raise UsageError(f"program {self.command!r}: {name} is no program that can be run; give its path")
        if not 0 < self.timeout <= threading.TIMEOUT_MAX or self.retries < 0:
            raise UsageError(
                f"program: a time-out of {self.timeout:g} s and {self.retries} retries; expected more than 0 s, and 0 "
                "retries or more"
            )
        object.__setattr__(self, "arguments", arguments)

    @property
    def by_lines(self) -> bool:
        """Whether one process colors all pictures."""
        return not any(_PLACEHOLDER.search(part) for part in self.arguments)

    def identity(self) -> dict[str, Any]:
        """Return the command, the program's path, and the sha256 of every file that the command names."""
        path = shutil.which(self.arguments[0]) or self.arguments[0]
        parts = (path, *self.arguments[1:], *(part.partition("=")[2] for part in self.arguments[1:]))  # --model=FILE
        named = dict.fromkeys(Path(part) for part in parts)
        try:
            files = {str(file): file_sha256(file) for file in named if file.is_file()}
        except OSError as error:
            raise UsageError(f"program {self.command!r}: {error.filename} cannot be read: {error.strerror}") from error
        return {"command": self.command, "program": path, "files": files}


class Runner:
    """Runs a program for one picture after the other; a context manager that leaves no process."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.said: dict[str, Any] = {}
        """What the program said of itself: `program`, `version`."""
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):  # its pictures are there; it is ended below
                self._process.wait(_END)
        self._kill()
        self._log.close()

    def color(self, source: Path, target: Path, facts: Mapping[str, Any]) -> None:
        """Let the program make `target` of `source`, in one try.

        Args:
            source: gray picture.
            target: the file to write.
            facts: of the picture, for the line of JSON.

        Raises:
            ProgramError: it failed, took too long, or answered what is no answer; it is ended then.
        """
        try:
            if self.program.by_lines:
                self._ask({"in": str(source), "out": str(target), **facts})
            else:
                self._run(str(source), str(target))
            if not target.is_file():
                raise ProgramError(f"wrote no {target.name}{self._tail()}")
        except ProgramError:
            self._kill()
            raise

    def _run(self, source: str, target: str) -> None:
        values = {"in": source, "out": target}
        arguments = [_PLACEHOLDER.sub(lambda m: values[m[1]], part) for part in self.program.arguments]
        process = self._start(arguments, stdin=subprocess.DEVNULL, stdout=self._log)
        try:
            code = process.wait(self.program.timeout)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"took more than {self.program.timeout:g} s{self._tail()}") from None
        if code != 0:
            raise ProgramError(f"ended with exit code {code}{self._tail()}")
        self._kill()  # what it may have started and left

    def _start(self, arguments: list[str], **streams: Any) -> subprocess.Popen[str]:
        self._log.seek(0)
        self._log.truncate()
        try:
            self._process = subprocess.Popen(
                arguments, stderr=self._log, encoding="utf-8", errors="replace", start_new_session=True, **streams
            )
        except OSError as error:
            raise ProgramError(f"cannot be started: {error.strerror or error}") from error
        return self._process

    def _ask(self, request: Mapping[str, Any]) -> None:
        process = self._process
        if process is None:
            process = self._start(list(self.program.arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._lines = queue.Queue()
            threading.Thread(target=_read, args=(process.stdout, self._lines), daemon=True).start()
        assert process.stdin is not None
        with suppress(OSError):  # it has ended already; what it said is read below
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        until = monotonic() + self.program.timeout
        while "out" not in (answer := self._answer(until)):
            if "error" in answer:
                raise ProgramError(f"said: {str(answer['error'])[:_SAID]}")
            self.said = {key: str(answer[key])[:_SAID] for key in ("program", "version") if key in answer}
        if answer["out"] != request["out"]:
            raise ProgramError(f"answered for {str(answer['out'])[:_SAID]}, was asked for {request['out']}")

    def _answer(self, until: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=max(0.0, until - monotonic()))
        except queue.Empty:
            raise ProgramError(f"took more than {self.program.timeout:g} s{self._tail()}") from None
        if line is None:
            raise ProgramError(f"ended before its answer{self._exit_code()}{self._tail()}")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not {"out", "error", "program"} & answer.keys():
            raise ProgramError(
                f'answered {line.strip()[:_SAID]!r}; expected a line of JSON: {{"out": PATH}} or {{"error": TEXT}}'
            )
        return answer

    def _exit_code(self) -> str:
        """Return the exit code of a program that has closed its output; it may still run."""
        assert self._process is not None
        try:
            return f", exit code {self._process.wait(_CLOSED)}"
        except subprocess.TimeoutExpired:
            return ": it has closed its output"

    def _tail(self) -> str:
        """Return the end of what the program said, for an error."""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return f"; it said: {text[-_SAID:]}" if text else ""

    def _kill(self) -> None:
        """End the program and what it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        end_group(process)
        if process.stdin is not None:
            with suppress(OSError):  # a line that the ended program did not read
                process.stdin.close()


def _read(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    """Pass on the lines of a program's output, then None."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
