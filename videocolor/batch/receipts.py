"""Check the values of a receipt before anything is done with the files that it names."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from videocolor.batch.manifest import is_inside

__all__ = ["check_receipt"]

_Receipt = TypeVar("_Receipt", bound=Any)


def check_receipt(kind: type[_Receipt], values: dict[str, Any]) -> _Receipt:
    """Make a receipt of plain values.

    A receipt of 0.1.0 has an absolute target, which is its only file.

    Raises:
        ValueError: a value is missing, unknown or of another type, or a name leads out of the output folder.
    """
    unknown = values.keys() - {item.name for item in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: unknown")
    try:
        receipt = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError("; ".join(wrong)) from error
    if any(not {"date", "reason"} <= entry.keys() for entry in receipt.accepted):
        raise ValueError("accepted: an entry lacks date or reason")
    target = Path(receipt.target)
    older = target.is_absolute() and list(receipt.files) == [receipt.target]
    names = [target.relative_to(target.anchor).as_posix()] if older else [receipt.target, *receipt.files]
    for name in names:
        if not is_inside(name):
            raise ValueError(f"{name!r} is outside of the folder")
    if receipt.target not in receipt.files:
        raise ValueError(f"files: the target {receipt.target} is not among them")
    if Path(receipt.name).name != receipt.name:
        raise ValueError(f"name: {receipt.name!r} is no name of a film")
    return receipt
