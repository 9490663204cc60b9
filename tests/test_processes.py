"""Worker processes and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videocolor._processes import Crew

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def blocked() -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def double(value: int) -> int:
    return 2 * value


def test_workers_hold_ctrl_c_back_and_the_parent_does_not() -> None:
    with Crew(1) as crew:
        assert crew.submit(blocked).result() is True
        assert not blocked()
        assert list(crew.map(double, range(5))) == [0, 2, 4, 6, 8]


def test_a_worker_that_is_still_starting_leaves_no_traceback(tmp_path: Path) -> None:
    """Ctrl-C of a terminal reaches all processes of the command, the ones that are still importing, too."""
    script = tmp_path / "command.py"
    script.write_text(
        "import time\n"
        "if __name__ == '__main__':\n"
        "    from videocolor._processes import Crew\n"
        "    crew = Crew(2)\n"
        "    waiting = [crew.submit(time.sleep, 0) for _ in range(2)]\n"
        "    print('started', flush=True)\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        crew.shutdown(wait=True)\n"
        "        raise SystemExit(130)\n"
        "else:\n"
        "    time.sleep(0.5)  # what a worker imports\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
