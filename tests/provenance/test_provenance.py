"""Labels, manifests and what `verify` says of them."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import CliRunner
from media import make_film
from small_networks import Brown

from videocolor.cli import cli
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, UsageError
from videocolor.provenance.manifest import UNNAMED, load_credential, read_manifest, sign_film
from videocolor.reports.verify import _label, _why, check_claims
from videocolor.video import open_video
from videocolor.video.labels import DIGITAL_SOURCE_TYPE, read_labels


def colored(tmp_path: Path, suffix: str, *settings: str) -> Path:
    film = tmp_path / "film.mkv"
    if not film.exists():
        make_film(film, 6, pix_fmt="gray", size=(64, 64))
    codec = "ffv1" if suffix == ".mkv" else "libx264"
    config = ColorizeConfig.load(None, [f"output.codec={codec}", "shots.detector=none", *settings])
    return colorize_video(film, tmp_path / f"out{suffix}", config, colorizer=Brown()).target


def verdicts(target: Path, source: Path | None = None) -> dict[str, str]:
    return {claim.subject: claim.verdict for claim in check_claims(target, source)}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_every_film_says_where_its_color_is_from(tmp_path: Path, suffix: str) -> None:
    target = colored(tmp_path, suffix)
    assert read_labels(target) == (DIGITAL_SOURCE_TYPE, "colorized by videocolor, not original color")
    with av.open(str(target)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 6
    data = target.read_bytes()
    if suffix != ".mkv":
        at = data.rindex(b"uuid") - 4
        assert at + struct.unpack(">I", data[at : at + 4])[0] == len(data), "the last box, complete"


def test_verify_needs_no_extra_for_films_without_a_manifest(tmp_path: Path) -> None:
    target = colored(tmp_path, ".mkv")
    found = verdicts(target, tmp_path / "film.mkv")
    assert found == {
        "manifest": "none",
        "label": "true",
        "record": "none",
        "source": "true",
        "frames": "true",
        "luma": "true",
    }
    make_film(tmp_path / "other.mkv", 6, pix_fmt="yuv420p", size=(64, 64))
    assert verdicts(target, tmp_path / "other.mkv")["source"] == "false"
    done = CliRunner().invoke(cli, ["verify", str(tmp_path / "other.mkv")])
    assert done.exit_code == 1 and "label     false" in done.stdout
    assert CliRunner().invoke(cli, ["verify", str(target)]).exit_code == 0
    assert CliRunner().invoke(cli, ["verify", str(tmp_path / "gone.mkv")]).exit_code == 1


def test_verify_takes_nothing_on_trust(tmp_path: Path) -> None:
    target = colored(tmp_path, ".mkv", "input.start=0.1")
    found = verdicts(target, tmp_path / "film.mkv")
    assert found["frames"] == found["source"] == "true", "a trimmed film begins at zero"
    sidecar = tmp_path / "out.mkv.json"
    record = json.loads(sidecar.read_text())
    record["config"]["output"]["c2pa"] = True
    sidecar.write_text(json.dumps(record))
    assert verdicts(target)["manifest"] == "false", "signed by its record alone"
    record["config"]["output"]["only_chroma"] = True
    assert _why(record) == "chroma alone was asked for"
    sidecar.write_text("{}")
    with pytest.raises(InputError, match="not the record of a film"):
        check_claims(target)
    copy = colored(tmp_path, ".mp4")
    data = copy.read_bytes()
    copy.write_bytes(data[: data.rindex(b"uuid") - 4])
    assert _label(copy).verdict == "false", "the comment is there, the label is not"


def test_the_slate_is_drawn_over_the_first_seconds_alone(tmp_path: Path) -> None:
    target = colored(tmp_path, ".mkv", "output.slate=0.1")
    with open_video(tmp_path / "film.mkv") as before, open_video(target) as after:
        same = [(a.luma == b.luma) for a, b in zip(before, after, strict=True)]
    assert [bool(s.all()) for s in same] == [False] * 3 + [True] * 3
    assert same[0][:50].all(), "a band at the bottom"
    assert verdicts(target, tmp_path / "film.mkv")["luma"] == "none"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_signed_film_holds_until_a_byte_changes(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("c2pa")
    target = colored(tmp_path, suffix, "output.c2pa=true")
    manifest = read_manifest(target)
    assert manifest is not None and manifest.names_nobody and not manifest.problems
    assert manifest.embedded == (suffix == ".mp4")
    record = json.loads((tmp_path / f"out{suffix}.json").read_text())
    assert manifest.facts["source_sha256"] == record["source"]["sha256"]
    assert manifest.facts["network"]["sha256"] == "ab" * 32
    found = verdicts(target, tmp_path / "film.mkv")
    assert "false" not in found.values() and found["manifest"] == "true"
    link = tmp_path / f"link{suffix}"
    link.symlink_to(target)
    sign_film(link, record, ColorizeConfig.load(None, ["output.c2pa=true"]).output)
    assert link.is_symlink() and read_manifest(link) is not None
    data = bytearray(target.read_bytes())
    data[data.rindex(b"mdat") + 200 if suffix == ".mp4" else len(data) // 2] ^= 1
    target.write_bytes(data)
    assert verdicts(target)["manifest"] == "false"
    record["model"]["sha256"] = "cd" * 32
    (tmp_path / f"out{suffix}.json").write_text(json.dumps(record))
    assert verdicts(target)["record"] == "false"
    colored(tmp_path, suffix, "output.overwrite=true")
    assert read_manifest(target) is None, "it was the earlier film's"


def certificate(folder: Path, *, ends: timedelta, name: str = "Archive") -> tuple[Path, Path]:
    """A self-signed certificate, which C2PA itself would not take, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made: Any = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now + ends)
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*pem))
    return paths


def test_a_certificate_that_cannot_be_used_is_refused_before_the_work(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    old, old_key = certificate(tmp_path, ends=timedelta(days=-1), name="old")
    good, good_key = certificate(tmp_path, ends=timedelta(days=9))
    for words, cert, key in (
        ("ran out on", old, old_key),
        ("not the key of", good, old_key),
        ("not a certificate chain", good_key, good_key),
        ("not a private key", good, good),
        ("No such file", tmp_path / "gone.pem", good_key),
        ("belong together", good, None),
    ):
        with pytest.raises(UsageError, match=words):
            load_credential(cert, key)
    settings = ("output.c2pa=true", f"output.certificate={good}", f"output.key={good_key}")
    with pytest.raises(UsageError, match="cannot be signed"):
        colored(tmp_path, ".mkv", *settings)
    assert not (tmp_path / "out.mkv").exists()
    assert UNNAMED.encode() not in load_credential(None, None).key


def test_without_the_extra_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    with pytest.raises(UsageError, match=r"videocolor\[provenance\]"):
        colored(tmp_path, ".mkv", "output.c2pa=true")
