"""Frames that are proposed as cuts are those of PySceneDetect, whose measures they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from videocolor.shots.detect import CutFinder


def test_proposals_are_those_of_pyscenedetect() -> None:
    scenedetect = pytest.importorskip("scenedetect")
    detectors = pytest.importorskip("scenedetect.detectors")
    adaptive = detectors.AdaptiveDetector(
        adaptive_threshold=1.3, min_scene_len=1, window_width=2, min_content_val=3.0, luma_only=True
    )
    hashed = detectors.HashDetector(threshold=0.2, size=8, lowpass=2, min_scene_len=1)
    rng, finder, theirs = np.random.default_rng(3), CutFinder(), set[int]()
    scene = np.zeros((36, 64), np.float32)
    ours = set[int]()
    for index in range(300):
        if rng.random() < 0.06:
            scene = rng.uniform(0, 255, (9, 16)).astype(np.float32)
            scene = cv2.resize(scene, (64, 36), interpolation=cv2.INTER_CUBIC)
        noise = rng.normal(0, rng.uniform(0, 12), scene.shape)
        gray = np.clip(scene + noise, 0, 255).astype(np.uint8)
        finder.push(gray)
        ours |= finder._proposed
        picture, time = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), scenedetect.FrameTimecode(index, 25.0)
        for detector in (adaptive, hashed):
            theirs.update(cut.frame_num for cut in detector.process_frame(time, picture))
    assert len(theirs) > 20
    assert ours == theirs
