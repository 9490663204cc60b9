"""adapters/onnx: lines of JSON in, pictures colored by an ONNX file out."""

from __future__ import annotations

import io
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_models import make_onnx

from videocolor.color import rgb_to_lab

pytest.importorskip("onnx")


def test_pictures_are_colored_and_mistakes_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_onnx(tmp_path / "m.onnx", [[0, 0, 0], [0, 0, 0]], [15, -10])
    gray = np.tile(np.linspace(60, 190, 50).astype(np.uint8), (40, 1))
    cv2.imwrite(str(tmp_path / "in.png"), gray)
    jobs = [{"in": str(tmp_path / name), "out": str(tmp_path / "out.png")} for name in ("in.png", "gone.png")]
    monkeypatch.setattr(sys, "argv", ["color.py", str(model), "--device", "cpu"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(job) + "\n" for job in jobs)))
    runpy.run_path(str(root / "adapters/onnx/color.py"), run_name="__main__")
    hello, made, failed = map(json.loads, capsys.readouterr().out.splitlines())
    assert hello["program"] and made == {"out": jobs[0]["out"]} and "cannot be read" in failed["error"]
    lab = rgb_to_lab(np.moveaxis(cv2.imread(jobs[0]["out"])[..., ::-1].astype(np.float32) / 255, -1, 0))
    assert lab.shape[1:] == gray.shape
    assert np.median(lab[1]) == pytest.approx(15, abs=1) and np.median(lab[2]) == pytest.approx(-10, abs=1)
