"""What leaves for the archive: METS and PREMIS by their schemas, packages by a profile, tar files."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from videocolor.batch.archive import bag_info, bag_path, check_package, finish_film
from videocolor.batch.bag import check_archive
from videocolor.batch.mets import mets_path
from videocolor.batch.profiles import bag_style
from videocolor.batch.settings import ArchiveSettings
from videocolor.batch.state import plan_path, write_file
from videocolor.errors import InputError, UsageError
from videocolor.record import read_record, write_sidecar
from videocolor.shards.merge import MergeReport
from videocolor.shards.types import FilmJob

bagit: Any = pytest.importorskip("bagit")  # of the extra `archive`

SCHEMAS = Path(__file__).parent / "schemas"
SPACES = {
    "m": "http://www.loc.gov/METS/",
    "p": "http://www.loc.gov/premis/v3",
    "dc": "http://purl.org/dc/elements/1.1/",
}
NAMES = ("mets", "premis")
CATALOG = {"id": "F 12", "title": "Harbor & <Sea>\x01", "rights": "public domain", "Format": "35 mm"}


class _Local(etree.Resolver):
    def resolve(self, url: str, _: str, context: Any) -> Any:
        return self.resolve_filename(str(SCHEMAS / "xlink.xsd"), context) if url.endswith("xlink.xsd") else None


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """METS with the PREMIS in it, and PREMIS alone."""
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Local())
    imports = "".join(f'<xs:import namespace="{SPACES[name[0]]}" schemaLocation="{name}.xsd"/>' for name in NAMES)
    both = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return {
        "mets": etree.XMLSchema(etree.fromstring(both, parser, base_url=str(SCHEMAS / "both.xsd"))),
        "premis": etree.XMLSchema(etree.parse(SCHEMAS / "premis.xsd", parser)),
    }


@pytest.fixture
def film(tmp_path: Path) -> tuple[FilmJob, MergeReport]:
    """A film that was merged, as far as its archiving needs one."""
    source, target = tmp_path / "reel 12.mov", tmp_path / "out/reel 12_colorized.mkv"
    folder = tmp_path / "out/.videocolor/shards/reel"
    folder.mkdir(parents=True)
    source.write_bytes(b"picture")
    target.write_bytes(b"colors")
    record = {
        "source": {"path": str(source), "sha256": sha256(source)},
        "label": "colorized",
        "model": {"name": "hint"},
        "restored": ["dust"],
        "output": {"container": "matroska", "codec": "ffv1"},
        "copied": [{"stream": "audio"}],
    }
    checked = {"algorithm": "md5", "file": source.name, "where": "MD5SUMS", "date": "2026-11-30T20:00:00+00:00"}
    write_file(folder / "checked.json", {"checked": [checked]})
    report = MergeReport(target, 3, sha256(target), 0.0, (), write_sidecar(target, record))
    return FilmJob("reel", source, target, {}, folder, catalog=CATALOG), report


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def finish(film: tuple[FilmJob, MergeReport], **settings: Any) -> None:
    job, report = film
    finish_film(job, report, ArchiveSettings(**settings), sha256(job.source))


def test_mets_and_premis_follow_their_schemas(film: tuple[FilmJob, MergeReport], schemas: dict[str, Any]) -> None:
    finish(film, mets=True, organization="The Archive")
    job, report = film
    document = etree.parse(mets_path(report.target))
    schemas["mets"].assertValid(document)
    (premis,) = document.findall(".//p:premis", SPACES)
    schemas["premis"].assertValid(premis)
    events = [(e.findtext("p:eventType", None, SPACES), e.findtext(".//p:eventDetail", None, SPACES)) for e in premis]
    kinds = [kind for kind, _ in events if kind]
    assert kinds == ["fixity check", "modification", "creation", "validation", "fixity check"]
    assert "md5 of reel 12.mov compared with MD5SUMS" in str(events) and "restored before coloring: dust" in str(events)
    assert document.findtext(".//dc:rights", None, SPACES) == "public domain"
    assert document.findtext(".//dc:title", None, SPACES) == "Harbor & <Sea>?"
    files = {
        f[0].get("{http://www.w3.org/1999/xlink}href"): f.get("CHECKSUM")
        for f in document.iterfind(".//m:file", SPACES)
    }
    assert files["reel%2012_colorized.mkv"] == sha256(report.target)
    assert files["reel%2012_colorized.mkv.json"] == sha256(Path(f"{report.target}.json"))
    assert read_record(report.target)["catalog"] == CATALOG and job.catalog == CATALOG


def test_made_again_the_events_go_on(film: tuple[FilmJob, MergeReport], schemas: dict[str, Any]) -> None:
    finish(film, mets=True)
    finish(film)
    events = read_record(film[1].target)["archive"]["events"]
    assert [event["type"] for event in events].count("creation") == 1 and len(events) == 6
    document = etree.parse(mets_path(film[1].target))
    schemas["mets"].assertValid(document)
    assert len(document.findall(".//p:event", SPACES)) == 6, "it is there, so it is kept up to date"


def test_a_package_with_the_manifests_that_are_asked_for(film: tuple[FilmJob, MergeReport]) -> None:
    finish(film, bag=True, bag_algorithms=("sha512", "md5"), bag_tar=True, mets=True)
    bag = bag_path(film[1].target)
    names = {path.name for path in bag.iterdir()}
    assert names == {
        *("data", "bagit.txt", "bag-info.txt", "manifest-md5.txt", "manifest-sha512.txt"),
        *("tagmanifest-md5.txt", "tagmanifest-sha512.txt"),
    }
    found = bagit.Bag(str(bag))
    found.validate(processes=1)
    info = found.info
    assert (info["External-Identifier"], info["Rights"], info["Format"]) == ("F 12", "public domain", "35 mm")
    assert info["Restoration"] == "dust" and "Accepted-Damage" not in info
    assert f"data/{mets_path(film[1].target).name}" in found.payload_entries()
    with tarfile.open(f"{bag}.tar") as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert set(members) == {path.relative_to(bag.parent).as_posix() for path in bag.rglob("*") if path.is_file()}
        assert all(member.isreg() and member.uid == 0 and not member.uname for member in members.values())
        (text,) = [tar.extractfile(m).read() for n, m in members.items() if n.endswith(".mkv")]  # type: ignore[union-attr]
    assert text == b"colors"


def profile(folder: Path, **more: Any) -> Path:
    data = {
        "BagIt-Profile-Info": {"BagIt-Profile-Identifier": "https://archive.example/profile.json", "Version": "1.3.0"},
        "Bag-Info": {"External-Identifier": {"required": True}, "Rights": {"values": ["public domain", "unknown"]}},
        "Manifests-Required": ["sha512"],
        "Manifests-Allowed": ["SHA512"],
        "Accept-BagIt-Version": ["1.0"],
        "Serialization": "optional",
        **more,
    }
    path = folder / "profile.json"
    path.write_text(json.dumps(data))
    return path


def test_a_package_by_profile(film: tuple[FilmJob, MergeReport], tmp_path: Path) -> None:
    path = str(profile(tmp_path))
    settings = ArchiveSettings(bag=True, bag_profile=path)
    check_archive(settings)
    check_package(film[0], settings)
    finish(film, bag=True, bag_profile=path)
    bag = bagit.Bag(str(bag_path(film[1].target)))
    bag.validate(processes=1)
    assert bag.version_info == (1, 0) and bag.algorithms == ["sha512"]
    assert bag.info["BagIt-Profile-Identifier"] == "https://archive.example/profile.json"
    for catalog, words in (({}, "External-Identifier is required"), ({**CATALOG, "rights": "mine"}, "not mine")):
        with pytest.raises(InputError, match=words):
            check_package(FilmJob("a", tmp_path, tmp_path, {}, tmp_path, catalog=catalog), settings)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Manifests-Required": ["sha3"]}, "sha3"),
        ({"Manifests-Allowed": ["md5"]}, "allows only md5"),
        ({"Accept-BagIt-Version": ["0.96"]}, "accepts no BagIt"),
        ({"Tag-Files-Required": ["marc.xml"]}, r"marc\.xml"),
        ({"Serialization": "required"}, r"archive\.bag_tar=true"),
        ({"BagIt-Profile-Info": {}}, "is no BagIt profile"),
    ],
)
def test_profiles_that_cannot_be_followed(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        check_archive(ArchiveSettings(bag=True, bag_profile=str(profile(tmp_path, **more))))
    with pytest.raises(UsageError, match="cannot be read"):
        bag_style(ArchiveSettings(bag_profile=str(tmp_path / "none.json")))
    with pytest.raises(UsageError, match=r"needs archive\.bag"):
        check_archive(ArchiveSettings(bag_tar=True))


def test_labels_of_ones_own() -> None:
    found = bag_info(ArchiveSettings(bag_info={"Contact-Name": "N"}), {"x-Fonds: A": "3"})
    assert found == {"Fonds- A": "3", "Contact-Name": "N"}


def test_accepted_damage_is_named(film: tuple[FilmJob, MergeReport], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.batch.archive.read_plan", lambda _: None)
    monkeypatch.setattr("videocolor.batch.archive.find_damage", lambda *_: "12 frames are lost")
    plan_path(film[0]).touch()
    finish(film, bag=True)
    plan_path(film[0]).unlink()  # as after the film is finished
    finish(film)
    assert bagit.Bag(str(bag_path(film[1].target))).info["Accepted-Damage"] == "12 frames are lost"
    events = read_record(film[1].target)["archive"]["events"]
    assert [event["outcome"] for event in events if event["type"] == "quality review"] == ["warning"]
