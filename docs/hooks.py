"""MkDocs hook: reference pages whose text comes from the code.

A line `<!-- generated: NAME -->` in a page is replaced by what the function of that name in `PAGES` returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["PAGES", "on_page_content", "on_page_markdown"]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, (tuple, list, dict)):
        return "`[]`" if not value else f"`{list(value)}`"
    return "–" if field.is_required() else f"`{'null' if value is None else str(value)}`"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(kind, f"{prefix}{name}.")
        else:
            yield f"| `{prefix}{name}` | {_cell(_default(field))} | {_cell(field.description or '')} |"


def configuration() -> str:
    """Return a table of keys, defaults and meanings for each command that reads a configuration."""
    from videocolor.batch.settings import BatchConfig
    from videocolor.config import ColorizeConfig
    from videocolor.datasets.pairs.settings import PairsConfig
    from videocolor.evaluation.settings import EvaluateConfig
    from videocolor.training.systems import config_class

    models: dict[str, Any] = {"colorize": ColorizeConfig, "batch": BatchConfig, "evaluate": EvaluateConfig}
    models |= {"pairs": PairsConfig, "train": config_class(None, ())}
    parts = []
    for command, model in models.items():
        parts.append(
            f"## {command}\n\n| key | default | meaning |\n| --- | --- | --- |\n" + "\n".join(_rows(model, ""))
        )
    return "\n\n".join(parts)


def presets() -> str:
    """Return a table of the packaged presets."""
    from videocolor.presets import list_presets

    rows = "\n".join(f"| `{preset.name}` | {_cell(preset.summary)} |" for preset in list_presets())
    return f"| preset | what it is for |\n| --- | --- |\n{rows}"


def api() -> str:
    """Return a mkdocstrings directive for each public name."""
    import videocolor

    names = [name for name in videocolor.__all__ if name in videocolor._HOMES]
    order = sorted(names, key=lambda name: (name[0].isupper(), name.lower()))
    parts = ["## Functions"]
    for name in order:
        if name[0].isupper() and parts[-1].find("## Types") < 0 and "## Types" not in parts:
            parts.append("## Types")
        parts.append(f"::: videocolor.{videocolor._HOMES[name]}.{name}")
    return "\n\n".join(parts)


def exit_codes() -> str:
    """Return the tree of errors with their exit codes."""
    return "::: videocolor.errors"


PAGES: dict[str, Callable[[], str]] = {
    "configuration": configuration,
    "presets": presets,
    "api": api,
    "errors": exit_codes,
}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill in the generated parts of a page."""
    return re.sub(r"^<!-- generated: (\w+) -->$", lambda match: PAGES[match[1]](), markdown, flags=re.MULTILINE)


def on_page_content(html: str, **_: object) -> str:
    """Leave out defaults that are none: click's marker of an unset value."""
    return html.replace("<code>Sentinel.UNSET</code>", "")
