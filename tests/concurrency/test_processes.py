"""Worker processes and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from videocolor.concurrency.processes import Crew, _ctrl_c_held

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


def initialize(value: int) -> None:
    os.environ["CREW_VALUE"] = str(value)


def look() -> tuple[str, bool]:
    return os.environ["CREW_VALUE"], signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_an_initializer_of_ones_own_is_called_too() -> None:
    with Crew(1, initialize, (7,)) as crew:
        assert crew.submit(look).result() == ("7", True)


def test_ctrl_c_while_a_worker_starts_comes_when_it_has_started() -> None:
    """With another thread about, the signal is heard in the main one, whatever that holds back."""
    leaving = threading.Event()
    other = threading.Thread(target=leaving.wait)
    other.start()
    try:
        reached = False
        with pytest.raises(KeyboardInterrupt), _ctrl_c_held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            reached = True
        assert reached
        assert not blocked()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        leaving.set()
        other.join()


def test_an_error_ends_the_workers_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), Crew(2) as crew:
        crew.submit(double, 1).result()
        for _ in range(4):
            crew.submit(time.sleep, 100)
        time.sleep(0.5)
        1 / 0  # noqa: B018
    while active_children() and time.monotonic() - began < 60:  # the pool's thread may be about to note that one ended
        time.sleep(0.01)
    assert time.monotonic() - began < 60
    assert not active_children()


def test_a_worker_that_is_still_starting_leaves_no_traceback(tmp_path: Path) -> None:
    """Ctrl-C of a terminal reaches all processes of the command, the ones that are still importing, too."""
    script = tmp_path / "command.py"
    script.write_text(
        "import time\n"
        "if __name__ == '__main__':\n"
        "    from videocolor.concurrency.processes import Crew\n"
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
