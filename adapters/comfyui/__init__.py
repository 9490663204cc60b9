"""A ComfyUI node: a batch of pictures as a film in color; see README.md."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import torch

from videocolor import ColorizeConfig, colorize_frames, frame_to_rgb

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Y' of BT.709."""


class VideocolorColorize:
    """Colors a film of pictures, from hints or without."""

    CATEGORY = "video"
    FUNCTION = "colorize"
    RETURN_TYPES = ("IMAGE",)
    DESCRIPTION = "Colors the frames of a film; hints are some of its frames in color."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Describe the inputs."""
        required = {
            "images": ("IMAGE",),
            "fps": ("FLOAT", {"default": 25.0, "min": 1.0, "max": 240.0}),
            "one_shot": ("BOOLEAN", {"default": False}),
            "saturation": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 4.0, "step": 0.05}),
        }
        optional = {"hints": ("IMAGE",), "hint_frames": ("STRING", {"default": "0"})}
        return {"required": required, "optional": optional}

    def colorize(
        self,
        images: torch.Tensor,
        fps: float = 25.0,
        one_shot: bool = False,
        saturation: float = 1.0,
        hints: torch.Tensor | None = None,
        hint_frames: str = "0",
        **options: Any,
    ) -> tuple[torch.Tensor]:
        """Color (n, h, w, c) pictures in 0..1; options are those of `videocolor.colorize_frames`."""
        given = {}
        if hints is not None:
            numbers = frame_numbers(hint_frames, len(hints))
            given = dict(zip(numbers, hints.cpu().numpy()[..., :3], strict=True))
        settings = [f"chroma.saturation={float(saturation)}", f"shots.detector={'none' if one_shot else 'content'}"]
        config = ColorizeConfig.load(None, settings)
        lumas = (np.rint((p[..., :3].cpu().numpy() @ LUMA).clip(0, 1) * 65535).astype(np.uint16) for p in images)
        rate = Fraction(fps).limit_denominator(1001)
        found = colorize_frames(lumas, config, hints=given, rate=rate, depth=16, **options)
        return (torch.stack([torch.from_numpy(frame_to_rgb(frame)) for frame in found]),)


def frame_numbers(text: str, count: int) -> list[int]:
    """Read `0, 24, 90`: the frame of each hint."""
    try:
        numbers = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise ValueError(f"hint_frames {text!r}: expected numbers of frames, such as 0, 24, 90") from None
    if len(numbers) != count or len(set(numbers)) != count:
        raise ValueError(f"hint_frames {text!r}: expected {count} different numbers, one for each hint")
    return numbers


NODE_CLASS_MAPPINGS = {"VideocolorColorize": VideocolorColorize}
NODE_DISPLAY_NAME_MAPPINGS = {"VideocolorColorize": "Colorize film (videocolor)"}
