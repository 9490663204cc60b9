"""Code that is not ours: found by name, and named in records and keys.

A seam (networks, metrics, ...) has a registry of our own methods. What is not in it is sought as `module:Object`, then
as an entry point of an installed package in the group `videocolor.SEAM`.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Hashable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import uuid4

from videocolor.errors import Interrupted, UsageError
from videocolor.files import file_sha256
from videocolor.presets import suggest

__all__ = ["Seam", "find", "identify", "installed", "is_plugin", "name_of", "origins"]

Seam = Literal["colorizers", "smoothers", "propagators", "hints", "keyframes", "metrics", "methods", "engines"]
_NAMED: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_UNSAVED: Final = f"code without a file, process {uuid4()}"
"""Of a plug-in typed into a prompt: nobody can say later whether it is the same."""


def find(name: str, seam: Seam, setting: str, known: Mapping[str, Any] = _NOTHING) -> Any:
    """Find what a setting names.

    Args:
        name: of our own method, `module:Object`, or the name of an entry point.
        seam: whose entry points are sought.
        setting: for the message, such as `model.name`.
        known: our own methods, which come first.

    Raises:
        UsageError: there is no such thing, or its import fails.
    """
    if name in known:
        return known[name]
    try:
        if _NAMED.fullmatch(name):
            module, _, attribute = name.partition(":")
            return getattr(importlib.import_module(module), attribute)
        if name in installed(seam):
            return installed(seam)[name].load()
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:  # the module may do anything
        raise UsageError(f"{setting} {name}: cannot be imported: {type(error).__name__}: {error}") from error
    names = [*known, *installed(seam)]
    raise UsageError(
        f"{setting}: there is no {name!r}{suggest(name, names)}; expected {', '.join([*names, 'module:Object'])}"
    )


def is_plugin(name: str, seam: Seam) -> bool:
    """Whether a name has the form `module:Object` or is that of an entry point."""
    return bool(_NAMED.fullmatch(name)) or name in installed(seam)


@lru_cache
def installed(seam: Seam) -> dict[str, EntryPoint]:
    """Return the entry points of a seam, by name."""
    return {point.name: point for point in _entry_points().select(group=f"videocolor.{seam}")}


@lru_cache
def _entry_points() -> Any:
    """Return those of all packages: to list them reads a file of each."""
    return entry_points()


def name_of(plugin: Any, setting: str) -> str:
    """Return the name by which `find` finds a class or function again, in this process and in others.

    Raises:
        UsageError: it is not at the top level of a module.
    """
    if isinstance(plugin, str):
        return plugin
    name = f"{getattr(plugin, '__module__', '')}:{getattr(plugin, '__qualname__', '')}"
    if not _NAMED.fullmatch(name) or find(name, "methods", setting) is not plugin:
        raise UsageError(
            f"{setting} {plugin!r}: expected a class or function at the top level of a module, or its name"
        )
    return name


def origins(*named: tuple[str, Seam]) -> list[str]:
    """Identify the plug-ins among some names of their seams; see `identify`."""
    found = (identify(find(name, seam, seam)) for name, seam in named if is_plugin(name, seam))
    return [code for code in found if code is not None]


def identify(plugin: Any) -> str | None:
    """Say which code a class or function is: its name, its package's version, the sha256 of its file; None: it is ours.

    What its file imports is not hashed: the version stands for that.

    Raises:
        UsageError: it is another object, such as a `functools.partial`: its type does not say what it does.
    """
    named = getattr(plugin, "__module__", None) in sys.modules and hasattr(plugin, "__qualname__")
    if not named or not isinstance(plugin, Hashable):
        raise UsageError(f"{plugin!r}: expected a class or function, not an object of {type(plugin).__name__}")
    return _identify(plugin)


@lru_cache
def _identify(plugin: Any) -> str | None:
    module = sys.modules[plugin.__module__]
    top = module.__name__.partition(".")[0]
    if top == __package__:
        return None
    file = Path(getattr(module, "__file__", None) or "")
    code = f"sha256 {file_sha256(file)}" if file.is_file() else _UNSAVED
    packages = [f"{package} {version(package)}" for package in sorted(set(packages_distributions().get(top, ())))]
    return ", ".join([f"{module.__name__}:{plugin.__qualname__}", *packages, code])
