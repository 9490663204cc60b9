"""Limits of control groups."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from videocolor.concurrency.cores import _group_limit


def _written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/of/the/host\n", {"cpu.max": "400000 100000\n"}, 4.0),
        (
            "5:cpu,cpuacct:/a\n3:io:/\n",
            {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        ("5:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_the_least_limit_of_the_groups_counts(tmp_path: Path, groups: str, files: dict[str, str], limit: float) -> None:
    _written(tmp_path, {"groups": groups, **{f"tree/{name}": text for name, text in files.items()}})
    assert _group_limit(tmp_path / "groups", tmp_path / "tree") == limit
