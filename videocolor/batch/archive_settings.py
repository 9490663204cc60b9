"""What an archive wants with a finished film: the section `archive` of a batch's configuration."""

from __future__ import annotations

import importlib.util
from typing import Annotated

from pydantic import Field

from videocolor.config import Bool, Section, Text
from videocolor.errors import UsageError

__all__ = ["ArchiveSettings", "check_archive"]

_Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


class ArchiveSettings(Section):
    """Proofs and packages that are made when a film is whole."""

    fixity: Bool = True
    """Read the source once more when its film is whole: its sha256 must be that of the plan."""
    luma_proof: Bool = False
    """Write framemd5 of the luma of source and result, and compare them. Decodes both once more."""
    bag: Bool = False
    """Put film, record and proofs into a BagIt package beside the film: OUTPUT.bag (extra `archive`)."""
    organization: str | None = None
    """Source-Organization of the packages."""
    bag_info: dict[_Word, Text] = Field(default={})
    """Further lines of a package's bag-info.txt: Contact-Name, External-Identifier, Bag-Group-Identifier..."""


def check_archive(settings: ArchiveSettings) -> None:
    """Before a batch: can what is asked for be made here?

    Raises:
        UsageError: the extra `archive` is not installed.
    """
    if settings.bag and importlib.util.find_spec("bagit") is None:
        raise UsageError("archive.bag needs bagit: pip install 'videocolor[archive]'")
