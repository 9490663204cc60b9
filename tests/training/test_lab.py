"""Lab in torch is that of scikit-image and of `videocolor.color`."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import rgb2lab

from videocolor.color import rgb_to_lab as numpy_lab
from videocolor.training.lab import gray_lightness, rgb_to_lab


def test_lab_is_that_of_scikit_image() -> None:
    rgb = np.random.default_rng(0).random((2, 3, 20, 30), dtype=np.float32)
    rgb[:, :, 0, 0], rgb[:, :, 0, 1] = 0, 1
    lab = rgb_to_lab(torch.from_numpy(rgb)).numpy()
    for ours, picture in zip(lab, rgb, strict=True):
        np.testing.assert_allclose(np.moveaxis(ours, 0, -1), rgb2lab(np.moveaxis(picture, 0, -1)), atol=1e-3)
        np.testing.assert_allclose(ours, numpy_lab(picture), atol=5e-3)  # its white is in more digits


def test_lightness_of_gray() -> None:
    gray = np.linspace(0, 1, 101, dtype=np.float32)
    expected = rgb2lab(np.repeat(gray[:, None], 3, axis=1))[:, 0]
    np.testing.assert_allclose(gray_lightness(torch.from_numpy(gray)).numpy(), expected, atol=1e-3)
