"""Quality control by others' tools: MediaConch checks a film by a policy, QCTools measures its frames.

Their reports are written beside the film, and belong to its result:

    OUTPUT.mediaconch.xml      MediaConch: is the file what its format demands (less what it passed)
    OUTPUT.policy.xml          MediaConch: each rule of the policy
    OUTPUT.qctools.xml.gz      QCTools
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final
from xml.etree import ElementTree

from videocolor.batch.settings import ArchiveSettings
from videocolor.concurrency.processes import end_group
from videocolor.errors import Interrupted, OutputError, UsageError
from videocolor.files import write_atomically
from videocolor.presets import config_root, suggest

__all__ = ["REPORTS", "check_tools", "has_report", "report_by_tools"]

REPORTS: Final = (".mediaconch.xml", ".policy.xml", ".qctools.xml.gz")
"""After the film's name."""
_LOOK: Final = 0.2
"""Seconds between two looks at whether a tool is to be ended."""
_LIMIT: Final = 24 * 3600.0
"""Seconds that a tool may take: QCTools decodes a long film slower than it runs."""


def check_tools(settings: ArchiveSettings) -> None:
    """Check before a batch that the tools that are asked for are here.

    Raises:
        UsageError: one is not installed, or there is no such policy.
    """
    for name, asked, key in (
        ("mediaconch", settings.mediaconch, "mediaconch"),
        ("qcli", settings.qctools, "qctools"),
    ):
        if asked and shutil.which(name) is None:
            raise UsageError(f"archive.{key}: the program {name} is not installed, or not found in PATH")
    if settings.mediaconch:
        _policy(settings.mediaconch)


def _policy(name: str) -> Path:
    folder = config_root() / "mediaconch"
    known = sorted(path.stem for path in folder.glob("*.xml"))
    path = folder / f"{name}.xml" if name in known else Path(name).absolute()
    if not path.is_file():
        words = f"neither a file nor one of {', '.join(known)}"
        raise UsageError(f"archive.mediaconch = {name}{suggest(name, known)}: {words}")
    return path


def has_report(target: Path, name: str) -> bool:
    """Return whether a film was checked by a policy: its report names it."""
    try:
        asked = ElementTree.parse(_policy(name)).getroot()
        report = ElementTree.parse(target.with_name(target.name + REPORTS[1]))
    except (OSError, ElementTree.ParseError):
        return False
    return any(found.get("name") == asked.get("name") for found in report.iter() if found.tag.endswith("}policy"))


def report_by_tools(target: Path, settings: ArchiveSettings, stop: threading.Event) -> list[Path]:
    """Have a finished film checked by the tools that are asked for; return their reports.

    Reports of an earlier version of the film are removed. `stop` ends a tool that runs.

    Raises:
        UsageError: as of `check_tools`.
        OutputError: the film fails, a tool fails or takes over a day, or a report cannot be written.
        Interrupted: it was stopped.
    """
    check_tools(settings)
    conch, policy, qctools = (target.with_name(target.name + end) for end in REPORTS)
    for path in (conch, policy, qctools):
        if path.exists() and path.stat().st_mtime_ns < target.stat().st_mtime_ns:
            path.unlink()
    name = f"./{target.name}"  # no option, and no folder in the report
    if settings.mediaconch:
        _check(target, stop, conch, ["mediaconch", "-mc", "-iv", "4", "-fx", name])
        _check(target, stop, policy, ["mediaconch", "-p", str(_policy(settings.mediaconch)), "-fx", name])
    if settings.qctools:
        part = qctools.with_name(f".{os.getpid()}.{qctools.name}")
        try:
            _run(target, stop, ["qcli", "-y", "-i", name, "-o", part.name])
            if not part.is_file():
                raise OutputError(f"{target}: qcli wrote no report")
            os.replace(part, qctools)
        finally:
            part.unlink(missing_ok=True)
    return [path for path in (conch, policy, qctools) if path.is_file()]


def _run(target: Path, stop: threading.Event, command: list[str], **environment: str) -> bytes:
    try:
        tool = subprocess.Popen(
            command,
            cwd=target.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | environment,
        )
    except OSError as error:
        raise OutputError(f"{target}: {command[0]} cannot be started: {error.strerror or error}") from error
    with tool:
        try:
            out, errors = _output(target, stop, command[0], tool)
        except BaseException:
            end_group(tool)
            raise
    if tool.returncode:
        said = (errors or out).decode(errors="replace").strip()
        raise OutputError(f"{target}: {command[0]} ended with {tool.returncode}: {said[-300:]}")
    return out


def _output(target: Path, stop: threading.Event, name: str, tool: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    until = monotonic() + _LIMIT
    while True:
        try:
            return tool.communicate(timeout=_LOOK)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                raise Interrupted(f"{target}: {name} was stopped") from None
            if monotonic() > until:
                raise OutputError(f"{target}: {name} took more than {_LIMIT:g} s") from None


def _check(target: Path, stop: threading.Event, report: Path, command: list[str]) -> None:
    """Have MediaConch check a film; its exit code is 0 for films that fail, too."""
    # It keeps its reports in a database at home, under a film's name and second of change: the next film of that name
    # gets the report of the last one, and two at once find the database locked.
    with TemporaryDirectory() as home:
        text = _run(target, stop, command, HOME=home)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise OutputError(f"{target}: mediaconch gave no report: {error}") from error
    write_atomically(report, text)
    if not any(element.tag.endswith(("}policy", "}implementationChecks")) for element in root.iter()):
        raise OutputError(f"{target}: mediaconch has checked nothing; its report is {report.name}")
    failures = list(_failures(root))
    if failures:
        raise OutputError(f"{target}: mediaconch: {'; '.join(failures)}; all of it is in {report.name}")


def _failures(element: ElementTree.Element) -> Iterator[str]:
    kind, outcome = element.tag.rpartition("}")[2], element.get("outcome")
    if kind == "check" and element.get("fail_count", "0") != "0":
        reasons = {test.get("reason", "") for test in element.iter() if test.get("outcome") == "fail"}
        yield f"{element.get('icid')}: {', '.join(sorted(reasons))}"
    elif kind == "rule" and outcome == "fail":
        found = f"is {element.get('actual') or 'missing'}, not {element.get('requested', '')}"
        yield f"{element.get('name')}: {element.get('value')} {found}"
    elif kind != "policy" or outcome in (None, "fail"):  # one of type `or` passes although rules of it fail
        inside = [failure for child in element for failure in _failures(child)]
        yield from inside or ([f"{element.get('name')}: fails"] if kind == "policy" and outcome == "fail" else [])
