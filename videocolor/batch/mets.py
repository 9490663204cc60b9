"""`OUTPUT.mets.xml`: a METS 1 document of a finished film, with its PREMIS 3 objects, events and agent.

    METS    http://www.loc.gov/METS/          dmdSec (Dublin Core: the catalog), amdSec (PREMIS), fileSec, structMap
    PREMIS  http://www.loc.gov/premis/v3      source and film as objects, what happened as events

Types of events are of the Library of Congress's vocabulary (id.loc.gov/vocabulary/preservation/eventType). Everything
is taken from the film's record, so that the document can be made again.
"""

from __future__ import annotations

import mimetypes
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from videocolor.batch.catalog import CATALOG_KEYS
from videocolor.files import file_sha256, write_atomically
from videocolor.version import __version__

__all__ = ["event", "events_of", "mets_path", "write_mets"]

_SPACES: Final = {
    "mets": "http://www.loc.gov/METS/",
    "premis": "http://www.loc.gov/premis/v3",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xlink": "http://www.w3.org/1999/xlink",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_MIME: Final = {
    ".mkv": "video/x-matroska",
    ".mxf": "application/mxf",
    ".framemd5": "text/plain",
    ".gz": "application/gzip",
}
_INVALID: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Letters that no XML may hold."""
_AGENT: Final = f"videocolor {__version__}"


def mets_path(target: Path) -> Path:
    """Return the path of a film's METS document."""
    return target.with_name(f"{target.name}.mets.xml")


def event(kind: str, detail: str, outcome: str = "success", date: str | None = None) -> dict[str, str]:
    """Return an event; without a date: of now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"type": kind, "date": date or now, "detail": detail, "outcome": outcome}


def events_of(
    record: Mapping[str, Any], checked: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return what happened to a film since its record was written: type, date, detail and outcome of each event.

    Args:
        record: of the film; it may hold earlier events.
        checked: the archive's checksums, as they were compared before the work.
        facts: for the record's part `archive`.
    """
    events: list[dict[str, str]] = []

    def add(*words: str, **more: str) -> None:
        events.append(event(*words, **more))

    if not record.get("archive", {}).get("events"):
        for each in checked:
            add(
                "fixity check",
                f"{each['algorithm']} of {each['file']} compared with {each['where']}",
                date=each["date"],
            )
        if facts.get("accepted_damage"):
            add("quality review", f"the source is damaged, and was accepted: {facts['accepted_damage']}", "warning")
        for step in record.get("restored", ()):
            add("modification", f"restored before coloring: {step}")
        model = record.get("model", {}).get("name", "a network")
        add("creation", f"{record.get('label', 'colorized')}; by {model} of {_AGENT}")
        if record.get("copied"):
            add("validation", f"packets of {len(record['copied'])} copied streams compared with the source")
    if "source_sha256_after" in facts:
        add("fixity check", "sha256 of the source after the work compared with that before")
    if "luma" in facts:
        luma = facts["luma"]
        text = f"luma of {luma['frames']} frames compared with the source, {luma['equal']} are equal"
        add("validation", f"{text}; {luma['expected']}", "success" if luma["untouched"] else "not proved")
    return events


def write_mets(
    target: Path, record: Mapping[str, Any], files: Mapping[Path, str | None], organization: str | None
) -> Path:
    """Write the METS document of a film.

    Args:
        target: the film.
        record: of the film, with `archive` and `catalog`.
        files: the film and all that belongs to it, each with its sha256 if it is known.
        organization: that has made it, if it is known.

    Raises:
        OutputError: it cannot be written.
    """
    for prefix, space in _SPACES.items():
        ET.register_namespace(prefix, space)
    catalog = record.get("catalog", {})
    digests = {path: digest or file_sha256(path) for path, digest in files.items()}
    root = ET.Element(_tag("mets:mets"))
    for key, text in (("OBJID", catalog.get("id", target.name)), ("LABEL", catalog.get("title", target.name))):
        root.set(key, _valid(text))
    _header(root, organization)
    _described(root, target, record)
    provenance = _add(_add(root, "mets:amdSec"), "mets:digiprovMD", ID="provenance")
    _premis(_data(provenance, "PREMIS"), target, record, digests[target])
    _files(root, digests)
    ET.indent(root)
    path = mets_path(target)
    write_atomically(path, ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n")
    return path


def _tag(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{_SPACES[prefix]}}}{local}"


def _add(parent: ET.Element, name: str, text: str | None = None, /, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, _tag(name), {key: _valid(value) for key, value in attributes.items()})
    child.text = None if text is None else _valid(text)
    return child


def _valid(text: str) -> str:
    return _INVALID.sub("?", text)


def _header(root: ET.Element, organization: str | None) -> None:
    header = _add(root, "mets:metsHdr", CREATEDATE=datetime.now(UTC).isoformat(timespec="seconds"))
    if organization:
        _add(_add(header, "mets:agent", ROLE="CREATOR", TYPE="ORGANIZATION"), "mets:name", organization)
    _add(_add(header, "mets:agent", ROLE="CREATOR", TYPE="OTHER", OTHERTYPE="SOFTWARE"), "mets:name", _AGENT)


def _data(section: ET.Element, kind: str) -> ET.Element:
    """Add a wrapper for metadata of a kind; return the element that holds them."""
    return _add(_add(section, "mets:mdWrap", MDTYPE=kind), "mets:xmlData")


def _described(root: ET.Element, target: Path, record: Mapping[str, Any]) -> None:
    catalog = record.get("catalog", {})
    data = _data(_add(root, "mets:dmdSec", ID="description"), "DC")
    for name, text in (("identifier", catalog.get("id")), ("title", catalog.get("title", target.name))):
        if text:
            _add(data, f"dc:{name}", text)
    _add(data, "dc:description", str(record.get("label", "")))
    for key, text in catalog.items():
        if key not in CATALOG_KEYS:
            _add(data, "dc:description", f"{key}: {text}")
    _add(data, "dc:source", Path(str(record.get("source", {}).get("path", ""))).name)
    if "rights" in catalog:
        _add(data, "dc:rights", catalog["rights"])


def _premis(parent: ET.Element, target: Path, record: Mapping[str, Any], sha256: str) -> None:
    source, output = record.get("source", {}), record.get("output", {})
    name = Path(str(source.get("path", "source"))).name
    premis = _add(parent, "premis:premis", version="3.0")
    _object(premis, name, str(source.get("sha256", "")), None, Path(name).suffix.lstrip(".") or "pictures")
    format_ = f"{output.get('codec', '')} in {output.get('container', target.suffix.lstrip('.'))}".strip()
    made = _object(premis, target.name, sha256, target.stat().st_size, format_)
    relation = _add(made, "premis:relationship")
    _add(relation, "premis:relationshipType", "derivation")
    _add(relation, "premis:relationshipSubType", "has source")
    _identified(_add(relation, "premis:relatedObjectIdentifier"), "relatedObjectIdentifier", name)
    for number, event in enumerate(record.get("archive", {}).get("events", ()), 1):
        _event(premis, number, event, target.name if event["type"] != "fixity check" else name)
    agent = _add(premis, "premis:agent")
    _identified(_add(agent, "premis:agentIdentifier"), "agentIdentifier", _AGENT)
    _add(agent, "premis:agentName", "videocolor")
    _add(agent, "premis:agentType", "software")
    _add(agent, "premis:agentVersion", __version__)


def _identified(element: ET.Element, what: str, value: str) -> None:
    _add(element, f"premis:{what}Type", "local")
    _add(element, f"premis:{what}Value", value)


def _object(premis: ET.Element, name: str, sha256: str, size: int | None, format_: str) -> ET.Element:
    found = _add(premis, "premis:object", **{_tag("xsi:type"): "premis:file"})
    _identified(_add(found, "premis:objectIdentifier"), "objectIdentifier", name)
    facts = _add(found, "premis:objectCharacteristics")
    fixity = _add(facts, "premis:fixity")
    _add(fixity, "premis:messageDigestAlgorithm", "SHA-256")
    _add(fixity, "premis:messageDigest", sha256)
    if size is not None:
        _add(facts, "premis:size", str(size))
    _add(_add(_add(facts, "premis:format"), "premis:formatDesignation"), "premis:formatName", format_)
    _add(found, "premis:originalName", name)
    return found


def _event(premis: ET.Element, number: int, event: Mapping[str, str], about: str) -> None:
    found = _add(premis, "premis:event")
    _identified(_add(found, "premis:eventIdentifier"), "eventIdentifier", f"event {number}")
    _add(found, "premis:eventType", event["type"])
    _add(found, "premis:eventDateTime", event["date"])
    _add(_add(found, "premis:eventDetailInformation"), "premis:eventDetail", event["detail"])
    _add(_add(found, "premis:eventOutcomeInformation"), "premis:eventOutcome", event["outcome"])
    _identified(_add(found, "premis:linkingAgentIdentifier"), "linkingAgentIdentifier", _AGENT)
    _identified(_add(found, "premis:linkingObjectIdentifier"), "linkingObjectIdentifier", about)


def _files(root: ET.Element, digests: Mapping[Path, str]) -> None:
    group = _add(_add(root, "mets:fileSec"), "mets:fileGrp")
    top = _add(_add(root, "mets:structMap", TYPE="physical"), "mets:div", DMDID="description", ADMID="provenance")
    for number, (path, digest) in enumerate(digests.items(), 1):
        kind = _MIME.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        facts = {"MIMETYPE": kind, "SIZE": str(path.stat().st_size), "CHECKSUM": digest, "CHECKSUMTYPE": "SHA-256"}
        file = _add(group, "mets:file", ID=f"file-{number}", **facts)
        _add(file, "mets:FLocat", LOCTYPE="URL", **{_tag("xlink:href"): quote(path.name)})
        _add(top, "mets:fptr", FILEID=f"file-{number}")
