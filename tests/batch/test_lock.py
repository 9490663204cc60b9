"""One driver at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videocolor.batch.lock import DriverLock, lock_holder
from videocolor.errors import UsageError


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from videocolor.batch.lock import DriverLock\n"
        f"lock = DriverLock(Path({str(tmp_path)!r})); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=f"process {child.pid} on {socket.gethostname()} is working on it"):
        DriverLock(tmp_path)
    holder = lock_holder(tmp_path)
    assert holder is not None and holder.pid == child.pid
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert lock_holder(tmp_path) is None
    with DriverLock(tmp_path):
        assert (lock_holder(tmp_path) or holder).pid == os.getpid()
    assert lock_holder(tmp_path) is None


def test_a_driver_of_another_machine(tmp_path: Path) -> None:
    """Where locks are not shared between machines, a claim that was renewed lately counts; an old one does not."""
    claim = tmp_path / "driver.lock"
    claim.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": time.time()}))
    with pytest.raises(UsageError, match="process 1 on elsewhere"):
        DriverLock(tmp_path)
    assert lock_holder(tmp_path) is not None
    os.utime(claim, (time.time() - 1000, time.time() - 1000))
    assert lock_holder(tmp_path) is None
    with DriverLock(tmp_path):
        pass
