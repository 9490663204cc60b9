"""`videocolor doctor`: can this machine color a film? Each answer with what to do where it cannot."""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option

__all__ = ["Check", "Report", "doctor", "examine"]

_PACKAGES: Final = {
    "torch": "torch",
    "av": "av",
    "opencv-python": "cv2",
    "numpy": "numpy",
    "scikit-image": "skimage",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
    "pydantic": "pydantic",
    "pyyaml": "yaml",
    "click": "click",
    "tqdm": "tqdm",
}
"""Distribution -> module to import."""
_ENCODERS: Final = ("libx264", "libx265", "ffv1", "prores_ks")
_ROOM: Final = 2 * 2**30
"""Bytes of free disk below which a film of some length may not fit."""


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    ok: bool
    value: str
    remedy: str = ""
    """What to do where `ok` is False."""
    required: bool = True
    """False: coloring works without it."""


@dataclass(frozen=True)
class Report:
    """All answers."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing that is required is missing."""
        return all(check.ok for check in self.checks if check.required)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"ok": self.ok, "checks": [asdict(check) for check in self.checks]}

    def lines(self) -> list[str]:
        """Return a line a check, then the verdict."""
        width = max(len(check.name) for check in self.checks)
        lines = []
        for check in self.checks:
            mark = "ok" if check.ok else "MISSING" if check.required else "-"
            remedy = f" ({check.remedy})" if check.remedy and not check.ok else ""
            lines.append(f"{mark:8}{check.name:{width}}  {check.value}{remedy}")
        lines.append("films can be colored" if self.ok else "films cannot be colored before what is MISSING is there")
        return lines


def examine() -> Report:
    """Look at Python, packages, devices, encoders, weights and disk. Never raises: what fails is an answer."""
    checks: list[Check] = []
    for look in (_python, _packages, _torch, _onnxruntime, _encoders, _weights, _disk):
        checks += _guarded(look)
    return Report(tuple(checks))


def _guarded(look: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(look())
    except Exception as error:  # a broken installation fails in any way it likes, and is to be described
        what = f"{type(error).__name__}: {error}"
        return [Check(look.__name__.strip("_"), False, what, "reinstall videocolor in a fresh environment")]


def _python() -> Iterator[Check]:
    from videocolor.version import __version__

    yield Check("videocolor", True, f"{__version__}, {Path(__file__).parent}")
    version = platform.python_version()
    yield Check(
        "python", sys.version_info >= (3, 11), f"{version}, {platform.platform()}", "install Python 3.11 or newer"
    )


def _packages() -> Iterator[Check]:
    for name, module in _PACKAGES.items():
        try:
            importlib.import_module(module)
            yield Check(name, True, importlib.metadata.version(name))
        except Exception as error:  # an import runs foreign code
            yield Check(name, False, f"{type(error).__name__}: {error}", f"pip install -c constraints.txt {name}")


def _torch() -> Iterator[Check]:
    import torch

    yield Check("cpu threads", True, f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    if torch.cuda.is_available():
        names = ", ".join(f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in range(torch.cuda.device_count()))
        yield Check("gpu", True, names, required=False)
    else:
        yield Check("gpu", False, "none", "not needed; the CPU is used", required=False)


def _onnxruntime() -> Iterator[Check]:
    import onnxruntime

    yield Check("onnxruntime providers", True, ", ".join(onnxruntime.get_available_providers()), required=False)


def _encoders() -> Iterator[Check]:
    import av.codec

    there = [name for name in _ENCODERS if name in av.codec.codecs_available]
    missing = [name for name in _ENCODERS if name not in there]
    remedy = f"this PyAV lacks {', '.join(missing)}; pip install --force-reinstall av brings the one that has them"
    yield Check("encoders", not missing, ", ".join(there) or "none", remedy)


def _weights() -> Iterator[Check]:
    from videocolor.errors import VideocolorError
    from videocolor.models.registry import list_models, load_colorizer

    remedy = "reinstall videocolor: its weights are missing or damaged"
    recorded = _recorded_hashes()
    cards = [card for card in list_models() if card.sha256]
    for card in cards:
        name = f"weights of {card.name}"
        if recorded and card.sha256 not in recorded:
            yield Check(name, False, f"sha256 {card.sha256[:12]}... is not the one that was installed", remedy)
            continue
        try:
            load_colorizer(card.name, device="cpu")
            source = "as installed" if recorded else "checkout, no record to compare with"
            yield Check(name, True, f"loaded, sha256 {card.sha256[:12]}... ({source})")
        except VideocolorError as error:
            yield Check(name, False, str(error), remedy)
    if not cards:
        yield Check("weights", False, "no network is packaged", remedy)


def _recorded_hashes() -> set[str]:
    """sha256 of the weights as pip recorded them; empty for a checkout or an editable install."""
    try:
        files = importlib.metadata.files("videocolor") or []
    except importlib.metadata.PackageNotFoundError:
        return set()
    hashes = set()
    for file in files:
        if "weights" in file.parts and file.hash is not None and file.hash.mode == "sha256":
            padded = file.hash.value + "=" * (-len(file.hash.value) % 4)
            hashes.add(base64.urlsafe_b64decode(padded).hex())
    return hashes


def _disk() -> Iterator[Check]:
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    yield Check("disk", free > _ROOM, f"{free / 2**30:.1f} GiB free in {here}", "films may not fit", required=False)


@click.command(short_help="Say whether this machine can color a film.")
@json_option("One JSON object on stdout.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Look at Python, packages, devices, encoders, weights and disk; exit code 0 if coloring can work."""
    found = examine()
    if session().json:
        click.echo(json.dumps(found.as_dict()))
    else:
        click.echo("\n".join(found.lines()))
    ctx.exit(0 if found.ok else 1)
