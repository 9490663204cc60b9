"""The `videocolor` command: one file per subcommand, no logic, nothing heavy imported before it is needed."""

from __future__ import annotations

import gc
import os

from videocolor.cli.group import CommandLine
from videocolor.cli.options import root_options

__all__ = ["cli", "main"]

cli = CommandLine(
    name="videocolor",
    summaries={
        "colorize": "Color a film.",
        "studio": "See, hint, preview and render a film in a browser.",
        "batch": "Color archives: many films, many workers, resumable.",
        "shots": "List the shots of a film in a file that a person can edit.",
        "keyframes": "Write the frames that explain a film, to color, or in proposed colors.",
        "models": "List, show and export networks.",
        "config": "List and show configurations.",
        "train": "Train a network.",
        "score": "Score one film against its true colors.",
        "compare": "Put a film and its colored version into one film.",
        "verify": "Say what is true of a finished film: manifest, labels, record, luma.",
        "report": "Write the page of a film that was colored: shots before and after.",
        "evaluate": "Compare methods on clips whose colors are known.",
        "pairs": "Build, check, review and divide data sets of frame pairs.",
        "doctor": "Say whether this machine can color a film, and what is missing.",
    },
    params=root_options(),
    help="Color for black-and-white film, from a few color frames or from none.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
)


def main() -> None:
    """Entry point of the `videocolor` script."""
    gc.set_threshold(20_000)  # the imports of a run make 70,000 objects that stay
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read the entry points of all packages
    cli.main(prog_name="videocolor")
