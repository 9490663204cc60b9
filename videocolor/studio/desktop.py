"""Show a folder of the project in the file manager of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from videocolor.errors import UsageError

__all__ = ["open_folder"]


def open_folder(folder: Path) -> None:
    """Open a folder in the system's file manager; return at once.

    Raises:
        UsageError: there is no file manager; names the folder.
    """
    if sys.platform == "win32":
        os.startfile(folder)
        return
    program = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if program is None:
        raise UsageError(f"no file manager was found here; the folder is {folder}")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        subprocess.Popen(
            [program, str(folder)], stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
