"""The root command: subcommands imported on demand, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from videocolor.concurrency.stopping import signals_raise
from videocolor.errors import VideocolorError

__all__ = ["CommandLine", "Session", "session"]

_BUG = "this is a bug in videocolor; run the command again with -v for the traceback, and report both"


@dataclass
class Session:
    """What one call of the command line was asked about its output."""

    json: bool = False
    """One JSON object a line on stdout, nothing else there."""
    verbosity: int = 0
    """-1 quiet, 0 normal, 1 and more verbose."""
    refused: tuple[str, ...] = ()
    """Why reels of a batch were left out."""


def session() -> Session:
    """Return the session of the running command."""
    found = click.get_current_context().find_object(Session)
    return found if found is not None else Session()


class CommandLine(click.Group):
    """A group that knows its subcommands by name and imports `videocolor.cli.NAME` when one is called."""

    def __init__(self, *, summaries: dict[str, str], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand and take the command out of it."""
        if cmd_name not in self.summaries:
            return None
        module = importlib.import_module(f"videocolor.cli.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing a single subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Add the nearest name to click's message about an unknown command."""
        if args and not args[0].startswith("-") and args[0] not in self.summaries:
            import difflib

            near = difflib.get_close_matches(args[0], list(self.summaries), n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else f" Commands: {', '.join(self.summaries)}."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run, and leave with the exit code that belongs to what happened."""
        arguments = list(sys.argv[1:] if args is None else args)
        state = Session(json="--json" in arguments)
        extra["standalone_mode"] = False
        try:
            with signals_raise() as signaled:
                try:
                    code = super().main(arguments, prog_name or "videocolor", obj=state, **extra)
                    sys.stdout.flush()
                except BaseException as error:
                    # What it is raised in may make another error of it, as pydantic does while it serializes.
                    if signaled and not isinstance(error, VideocolorError | KeyboardInterrupt | click.Abort):
                        raise signaled[0]() from error
                    raise
        except BaseException as error:
            code = _report(error, state)
        sys.exit(code if isinstance(code, int) else 0)


def _report(error: BaseException, state: Session) -> int:
    """Say what went wrong, on stderr and as an event, and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    message, code = _message(error)
    if state.verbosity > 0 and not isinstance(error, click.ClickException):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, click.ClickException):
        error.show()
    else:
        click.echo(f"error: {message}", err=True)
    if state.json:
        event = {"event": "error", "type": type(error).__name__, "message": message, "exit_code": code}
        click.echo(json.dumps(event, ensure_ascii=False))
    return code


def _message(error: BaseException) -> tuple[str, int]:
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, VideocolorError):
        return str(error), error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted; nothing was left under the final name, what is finished is kept for the next try", 130
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'system'}: {error.strerror}", 1
    if isinstance(error, ModuleNotFoundError) and not (error.name or "videocolor").startswith("videocolor"):
        return f"the package {error.name} is not installed; `videocolor doctor` says what is missing", 1
    return f"{type(error).__name__}: {error}\n{_BUG}", 1


def set_up_logging(verbosity: int) -> None:
    """Send videocolor's log to stderr: errors, warnings, information or everything."""
    levels = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("videocolor")
    logger.handlers[:] = [handler]
    logger.setLevel(levels[max(0, min(verbosity + 1, 3))])
