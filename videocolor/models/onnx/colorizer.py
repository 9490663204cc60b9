"""A user's image colorizer as an ONNX file: `--model color.onnx`, described by `color.yaml` beside it.

The card says what the file cannot: which color space its numbers mean, and how they are normalized. Names, shapes and
number types are checked against the file, and one gray picture is sent through, before a film is opened.
docs/guides/own-models.md has cards for DDColor and DeOldify.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import luv_gamut_scale, luv_to_lab, rgb_to_lab, ycbcr_to_ab
from videocolor.errors import DeviceError, ModelError
from videocolor.files import source_sha256
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.models.onnx.card import (
    CHANNELS,
    InputCard,
    OnnxFile,
    OutputCard,
    UserCard,
    describe_onnx,
    read_user_card,
)
from videocolor.models.runtimes import onnxruntime_errors, session_options
from videocolor.types import Array

__all__ = ["UserOnnxColorizer", "load_user_onnx"]

_TRIAL: Final = 64
"""Side of the gray picture that is sent through a file that takes any size, at least."""
_TYPES: Final[dict[str, type[np.generic]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class _Port:
    """An input or output of the file."""

    name: str
    shape: tuple[int | None, int | None, int | None, int | None]
    """Batch, channels, height, width, whatever the layout; None: any."""
    kind: type[np.generic]


def load_user_onnx(path: Path, device: str = "cpu", threads: int | None = None) -> UserOnnxColorizer:
    """Open an ONNX file and its card.

    Args:
        path: the .onnx file; the card is the .yaml file of the same name beside it.
        device: `auto` and `cpu`: the CPU; `cuda` or `cuda:N`: ONNX Runtime's CUDA provider.
        threads: CPU threads; None: ONNX Runtime's choice.

    Raises:
        ModelError: file or card is missing or damaged, or they contradict each other.
        ConfigError: the card does not validate; the message has its line.
        DeviceError: CUDA was asked for and is not there.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such ONNX file")
    card = read_user_card(path)
    file = describe_onnx(path)
    if card.opset is not None and card.opset != file.opset:
        raise ModelError(f"{card.path}: opset {card.opset}, but {path.name} has opset {file.opset}")
    for weights in file.external:
        if not weights.is_file():
            raise ModelError(f"{path}: its weights are in {weights}, which is missing")
    session = _session(path, device, threads)
    source = _port(card, "input", session.get_inputs())
    target = _port(card, "output", session.get_outputs())
    size = _size(card, source)
    return UserOnnxColorizer(card, session, (source, target), size, file)


class UserOnnxColorizer(Colorizer):
    """Colors every frame by itself, without hints.

    Args:
        card: of the user.
        session: ONNX Runtime's session.
        ports: input and output, checked.
        size: (height, width) where the network takes one size only.
        file: its description.

    Raises:
        ModelError: a gray picture does not come through as the card says.
    """

    def __init__(
        self,
        card: UserCard,
        session: Any,
        ports: tuple[_Port, _Port],
        size: tuple[int, int] | None,
        file: OnnxFile,
    ) -> None:
        self.user, self._session, self._size = card, session, size
        self._source, self._target = ports
        self._padded = size is not None and card.input.fit == "pad"
        stride = self._try()
        self.card = ModelCard(
            name=file.path.stem,
            title=card.title or f"{file.path.name}, an ONNX image colorizer",
            hints="none",
            parameters=file.parameters,
            macs=None,
            area=size[0] * size[1] if size is not None else card.input.area,
            multiple=16 if size is not None else card.input.multiple,
            output_stride=stride,
            size=None if self._padded else size,
            licence=card.licence,
            sha256=source_sha256(file.path, (file.path, card.path, *file.external)),
            source=card.source,
        )

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Reject hints; nothing is kept.

        Raises:
            ModelError: hints were given.
        """
        if hints:
            raise ModelError(f"{self.card.name} takes no hints, {len(hints)} given")

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """a*b* of frames, on the network's own grid; padding is cut off again."""
        if not self._padded:
            return Prediction(self._run(luma))
        assert self._size is not None
        fitted, (h, w) = _fit(luma, self._size)
        ab = self._run(fitted)
        scale_h, scale_w = ab.shape[2] / self._size[0], ab.shape[3] / self._size[1]
        return Prediction(ab[:, :, : max(1, round(h * scale_h)), : max(1, round(w * scale_w))])

    def _try(self) -> int:
        """Run a gray picture through; return how many times coarser the output is."""
        times = -(-_TRIAL // self.user.input.multiple)
        side = (times + 1 - times % 2) * self.user.input.multiple  # odd: does once the multiple do, or twice?
        h, w = self._size or (side, side)
        try:
            ab = self._run(np.full((1, h, w), 0.5, np.float32))
        except DeviceError as error:
            raise ModelError(f"{self.user.path}: a picture of {h}x{w} does not pass the network ({error})") from error
        return max(1, round(h / int(ab.shape[2])))

    def _run(self, luma: Array) -> Array:
        """(n, 2, h', w') float32 a*b* of (n, h, w) frames of the network's size."""
        given = _to_tensor(luma, self.user.input).astype(self._source.kind)
        batch = self._source.shape[0] or len(given)
        parts = []
        for start in range(0, len(given), batch):
            part = given[start : start + batch]
            count = len(part)
            if count < batch:  # the file has a fixed batch size
                part = np.concatenate([part, np.repeat(part[-1:], batch - count, axis=0)])
            parts.append(self._infer(part)[:count])
        ab = _to_ab(np.concatenate(parts), luma, self.user.output)
        if not np.isfinite(ab).all():
            raise ModelError(f"{self.user.path}: frames of {luma.shape[1:]} come back with values that are not finite")
        return ab

    def _infer(self, part: Array) -> Array:
        """One call; channels first."""
        inputs = np.ascontiguousarray(part if self.user.input.layout == "nchw" else np.moveaxis(part, 1, -1))
        try:
            found = np.asarray(self._session.run([self._target.name], {self._source.name: inputs})[0], np.float32)
        except onnxruntime_errors() as error:
            reason = str(error).partition("\n")[0][:300]
            raise DeviceError(f"{self.user.path.stem}: ONNX Runtime failed on {inputs.shape}: {reason}") from error
        if found.ndim != 4:
            raise ModelError(f"{self.user.path}: the output {self._target.name} has shape {found.shape}; expected four")
        found = found if self.user.output.layout == "nchw" else np.moveaxis(found, -1, 1)
        if found.shape[1] != CHANNELS[self.user.output.color]:
            raise ModelError(
                f"{self.user.path}: output.color {self.user.output.color} has {CHANNELS[self.user.output.color]} "
                f"channels, but {self._target.name} came back with {found.shape[1]} ({self.user.output.layout})"
            )
        return found


def _session(path: Path, device: str, threads: int | None) -> Any:
    import onnxruntime as ort

    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise DeviceError(
                f"device {device!r}: this ONNX Runtime has no CUDA provider; pip install onnxruntime-gpu in place of "
                "onnxruntime, or use --device cpu"
            )
        number = device.partition(":")[2] or "0"
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": number}))
    try:
        return ort.InferenceSession(str(path), session_options(threads or 0), providers=providers)
    except onnxruntime_errors() as error:
        raise ModelError(f"{path}: ONNX Runtime cannot load it ({str(error)[:300]})") from error


def _port(card: UserCard, side: str, entries: Sequence[Any]) -> _Port:
    """Find the file's input or output that the card names."""
    wanted: InputCard | OutputCard = card.input if side == "input" else card.output
    names = [entry.name for entry in entries]
    if side == "input" and len(entries) != 1:
        raise ModelError(
            f"{card.path}: the file has {len(entries)} inputs ({', '.join(names)}); expected one, a picture. Write a "
            "Colorizer for others (docs/developing/adding.md)"
        )
    if wanted.name is None and len(entries) > 1:
        raise ModelError(f"{card.path}: {side}.name must say which: the file has the {side}s {', '.join(names)}")
    if wanted.name is not None and wanted.name not in names:
        raise ModelError(f"{card.path}: {side}.name {wanted.name!r}, but the file has {', '.join(names)}")
    entry = next(entry for entry in entries if wanted.name in (None, entry.name))
    if entry.type not in _TYPES:
        raise ModelError(f"{card.path}: the file's {side} {entry.name} is {entry.type}; expected float or float16")
    shape = [value if isinstance(value, int) and value > 0 else None for value in entry.shape]
    if side == "output" and not shape:  # some exporters leave the output's shape open
        shape = [None] * 4
    if len(shape) != 4:
        raise ModelError(f"{card.path}: the file's {side} {entry.name} has {len(shape)} dimensions; expected four")
    n, c, h, w = shape if wanted.layout == "nchw" else (shape[0], shape[3], shape[1], shape[2])
    expected = CHANNELS[wanted.color]
    if c is not None and c != expected:
        raise ModelError(
            f"{card.path}: {side}.color {wanted.color} has {expected} channels, but the file's {side} {entry.name} has "
            f"{c} ({wanted.layout} of {entry.shape})"
        )
    return _Port(entry.name, (n, c, h, w), _TYPES[entry.type])


def _size(card: UserCard, source: _Port) -> tuple[int, int] | None:
    """Find the one (height, width) that the network takes, in the file or the card; None: any."""
    h, w = source.shape[2:]
    said = card.input.size
    if said is not None and ((h is not None and h != said[0]) or (w is not None and w != said[1])):
        raise ModelError(f"{card.path}: input.size {list(said)}, but the file takes [{h or 'any'}, {w or 'any'}]")
    if (h is None) != (w is None) and said is None:
        raise ModelError(f"{card.path}: the file takes [{h or 'any'}, {w or 'any'}]; input.size must say which size")
    size = (h, w) if h is not None and w is not None else said
    if size is None and card.input.fit == "pad":
        raise ModelError(f"{card.path}: input.fit pad, but no size: the file takes any; input.size says which")
    return size


def _fit(luma: Array, size: tuple[int, int]) -> tuple[Array, tuple[int, int]]:
    """Fit frames into a size, aspect kept, borders repeated below and right; also return their own size there."""
    scale = min(size[0] / luma.shape[1], size[1] / luma.shape[2])
    h, w = (max(1, min(limit, round(side * scale))) for limit, side in zip(size, luma.shape[1:], strict=True))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = (cv2.resize(frame, (w, h), interpolation=how) for frame in luma)
    fitted = [cv2.copyMakeBorder(f, 0, size[0] - h, 0, size[1] - w, cv2.BORDER_REPLICATE) for f in small]
    return np.stack(fitted), (h, w)


def _to_tensor(luma: Array, card: InputCard) -> Array:
    """(n, c, h, w) as the network was trained with."""
    luma = luma.astype(np.float32, copy=False)
    if card.color == "lightness":
        flat = luma.reshape(-1)
        luma = rgb_to_lab(np.stack([flat, flat, flat]))[0].reshape(luma.shape)
    planes = np.repeat(luma[:, None], CHANNELS[card.color], axis=1)
    return (planes * np.float32(card.scale) - _column(card.mean)) / _column(card.std)


def _to_ab(found: Array, luma: Array, card: OutputCard) -> Array:
    """a*b* of (n, c, h', w') of the network; where a color space needs lightness, the frame's own is taken."""
    values = (found * _column(card.std) + _column(card.mean)) / np.float32(card.scale)
    color = np.moveaxis(values, 1, 0)
    if card.color in ("ab", "lab"):
        ab = color[-2:]
    elif card.color in ("rgb", "bgr"):
        ab = rgb_to_lab(np.clip(color if card.color == "rgb" else color[::-1], 0, 1))[1:]
    else:
        gray = np.stack([cv2.resize(frame, found.shape[:1:-1], interpolation=cv2.INTER_AREA) for frame in luma])
        if card.color in ("cbcr", "ycbcr"):
            ab = ycbcr_to_ab(gray, color[-2], color[-1], "bt601")
        else:
            lightness = rgb_to_lab(np.stack([gray, gray, gray]))[0]
            luv = np.stack([lightness, color[-2], color[-1]])
            luv[1:] *= luv_gamut_scale(luv)
            ab = luv_to_lab(luv)[1:]
    return np.ascontiguousarray(np.moveaxis(ab, 0, 1), np.float32)


def _column(value: float | tuple[float, ...]) -> Array:
    return np.asarray(value, np.float32).reshape(-1, 1, 1)
