"""The C2PA manifest of a finished film, and what signs it: in MP4 and QuickTime, as OUTPUT.c2pa beside other files."""

from __future__ import annotations

import importlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from videocolor.config import OutputConfig
from videocolor.errors import InputError, UsageError
from videocolor.files import disk_errors, part_name, plain, write_atomically
from videocolor.record import manifest_path
from videocolor.version import __version__
from videocolor.video import COLOR_LABEL
from videocolor.video.labels import DIGITAL_SOURCE_TYPE

__all__ = [
    "RECORD",
    "UNNAMED",
    "Credential",
    "Manifest",
    "check_credential",
    "load_credential",
    "read_manifest",
    "sign_film",
]

RECORD: Final = "org.videocolor.record"
"""Label of the assertion with the hashes of OUTPUT.json."""
_EMBEDDED: Final = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"}
_OTHER: Final = "video/x-matroska"
"""Kind of files without a manifest in them: bytes with one hash."""
_SETTINGS: Final = {"verify": {"remote_manifest_fetch": False}}
"""Of c2pa: a film may name an address of its manifest, which is not asked."""
_UNTRUSTED: Final = "signingCredential.untrusted"


@dataclass(frozen=True)
class Manifest:
    """What a film's manifest says, and whether it holds."""

    embedded: bool
    problems: tuple[str, ...]
    """Why it does not hold; empty: the film is what was signed. C2PA does not hash padding and brands of MP4."""
    signer: str
    facts: Mapping[str, Any]
    """The assertion `RECORD`."""

    @property
    def names_nobody(self) -> bool:
        """Whether it was signed with a certificate that videocolor made."""
        return self.signer == UNNAMED


def check_credential(output: OutputConfig, source: Path, *, image_files: bool = False) -> None:
    """Check before the work that a manifest of a film can be signed, where one is asked for.

    Raises:
        UsageError: the certificate cannot be used, the extra is not installed, the source cannot be read for manifests
            of its own, or the output is a row of pictures.
    """
    if output.c2pa and image_files:
        raise UsageError("output.c2pa: pictures get no manifest; write a film, or leave it out")
    if output.c2pa:
        record: dict[str, Any] = {"source": {"path": source, "sha256": None}, "model": {}, "hints": [], "restored": []}
        credential = load_credential(output.certificate, output.key)
        _sign(credential, _manifest("trial", record), _ingredients(record), b"trial")


def sign_film(target: Path, record: Mapping[str, Any], output: OutputConfig) -> None:
    """Sign a finished film with what its record says of source, network and hints.

    Raises:
        UsageError: as of `check_credential`; the film stays as it was.
        OutputError: the disk is full; likewise.
    """
    credential = load_credential(output.certificate, output.key)
    manifest, ingredients = _manifest(target.name, record), _ingredients(record)
    with disk_errors(target):
        kind = _EMBEDDED.get(target.suffix.lower())
        if kind is None:
            write_atomically(manifest_path(target), _sign(credential, manifest, ingredients, target))
            return
        real = target.resolve()  # a link stays
        part = part_name(real)
        try:
            _sign(credential, manifest, ingredients, real, kind, part)
            os.replace(part, real)
        finally:
            part.unlink(missing_ok=True)


def _sign(
    credential: Credential,
    manifest: Mapping[str, Any],
    ingredients: Sequence[tuple[dict[str, Any], Path | None]],
    film: Path | bytes,
    kind: str = _OTHER,
    target: Path | None = None,
) -> bytes:
    """Write a signed copy to `target`, or return the manifest alone."""
    c2pa, _ = provenance_packages()
    try:
        signing = (credential.algorithm.encode(), credential.chain, credential.key, None)
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(*signing))
        with c2pa.Builder(manifest, context=c2pa.Context.from_dict(_SETTINGS)) as builder:
            for about, path in ingredients:
                with open(path or os.devnull, "rb") as file:
                    builder.add_ingredient(about, "application/octet-stream" if path is None else _kind(path), file)
            with io.BytesIO(film) if isinstance(film, bytes) else film.open("rb") as source:
                if target is None:
                    builder.set_no_embed()
                    return bytes(builder.sign(signer, kind, source, io.BytesIO()))
                with target.open("w+b") as out:
                    return bytes(builder.sign(signer, kind, source, out))
    except c2pa.C2paError as error:
        raise UsageError(f"the C2PA manifest cannot be signed: {error}") from error


def _kind(path: Path) -> str:
    """Return the kind of an ingredient; old QuickTime files have no `ftyp`, which c2pa asks for."""
    with path.open("rb") as file:
        return _EMBEDDED.get(path.suffix.lower(), _OTHER) if file.read(8)[4:] == b"ftyp" else _OTHER


def _manifest(title: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what was done: opened, colored by a trained network with these hints."""
    agent, hints = {"name": "videocolor", "version": __version__}, record["hints"]
    colored = {
        "action": "c2pa.color_adjustments",
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
        "softwareAgent": agent,
        "description": COLOR_LABEL,
    }
    if hints:
        colored["parameters"] = {"ingredientIds": [f"hint{number}" for number in range(len(hints))]}
    actions: list[dict[str, Any]] = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}, colored]
    if restored := list(record["restored"]):
        actions.append({"action": "c2pa.edited", "softwareAgent": agent, "description": ", ".join(restored)})
    facts = {
        "source_sha256": record["source"]["sha256"],
        "network": {key: record["model"].get(key) for key in ("name", "title", "sha256")},
        "hints": [{key: hint.get(key) for key in ("name", "sha256", "program")} for hint in hints],
    }
    assertions = [
        {"label": "c2pa.actions.v2", "data": {"actions": actions}},
        {"label": RECORD, "data": plain(facts)},
    ]
    return {"claim_generator_info": [agent], "title": title, "assertions": assertions}


def _ingredients(record: Mapping[str, Any]) -> list[tuple[dict[str, Any], Path | None]]:
    """List the source and the hints, each with its sha256; read for manifests of their own where they hold any."""
    source = Path(str(record["source"]["path"]))
    about = {"title": source.name, "relationship": "parentOf", "label": "source"}
    about["description"] = f"sha256 {record['source']['sha256']}"
    found: list[tuple[dict[str, Any], Path | None]] = [(about, source if source.is_file() else None)]
    for number, hint in enumerate(record["hints"]):
        about = {"title": Path(hint["name"]).name, "relationship": "inputTo", "label": f"hint{number}"}
        if hint.get("sha256"):
            about["description"] = f"sha256 {hint['sha256']}"
        found.append((about, None))
    return found


def read_manifest(target: Path) -> Manifest | None:
    """Read and check the manifest in a film, or beside it; None: there is none.

    Raises:
        InputError: it cannot be read.
        UsageError: the extra is not installed, and there is, or may be, one.
    """
    beside, kind = manifest_path(target), _EMBEDDED.get(target.suffix.lower())
    if kind is None and not beside.is_file():
        return None
    c2pa, _ = provenance_packages()
    try:
        context = c2pa.Context.from_dict(_SETTINGS)
        with target.open("rb") as film:
            if kind is not None:
                reader = c2pa.Reader.try_create(kind, film, context=context)
                if reader is None:
                    return None
            else:
                reader = c2pa.Reader(_OTHER, film, manifest_data=beside.read_bytes(), context=context)
            report = json.loads(reader.json())
            active = report["manifests"][report["active_manifest"]]
    except (c2pa.C2paError, ValueError, LookupError) as error:
        raise InputError(f"{target if kind else beside}: the manifest cannot be read: {error}") from error
    except OSError as error:
        raise InputError(f"{target}: cannot be read: {error.strerror or error}") from error
    problems = [f"{s['code']}: {s.get('explanation', '')}" for s in report.get("validation_status", ())]
    facts: dict[str, Any] = next((a["data"] for a in active.get("assertions", ()) if a["label"] == RECORD), {})
    signer = str(active.get("signature_info", {}).get("common_name", "unknown"))
    return Manifest(kind is not None, tuple(p for p in problems if not p.startswith(_UNTRUSTED)), signer, facts)


UNNAMED: Final = "made by videocolor: proves integrity, no identity"
"""Common name of a certificate that was made on the spot."""


@dataclass(frozen=True)
class Credential:
    """A certificate chain and its key."""

    chain: bytes
    """PEM, the signer's first."""
    key: bytes = field(repr=False)
    """PEM, PKCS #8."""
    algorithm: str
    """As C2PA names it: es256, es384, es512, ed25519 or ps256."""


def provenance_packages() -> tuple[Any, Any]:
    """Import c2pa and cryptography.x509.

    Raises:
        UsageError: the extra is not installed.
    """
    try:
        return importlib.import_module("c2pa"), importlib.import_module("cryptography.x509")
    except ImportError as error:
        raise UsageError(
            f"C2PA manifests need packages that are not installed ({error}): pip install 'videocolor[provenance]'"
        ) from error


def load_credential(certificate: Path | None, key: Path | None) -> Credential:
    """Read a certificate and its key; without, make ones that name nobody and are used once.

    Raises:
        UsageError: one is missing, damaged, has expired or does not belong to the other; the extra is not installed.
    """
    _, x509 = provenance_packages()
    if (certificate is None) != (key is None):
        raise UsageError(
            "output.certificate and output.key belong together; give both, or none for one made on the spot"
        )
    if certificate is None or key is None:
        return _made(x509)
    chain, secret = (_bytes(path) for path in (certificate, key))
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise UsageError(f"{certificate}: not a certificate chain in PEM: {error}") from error
    try:
        private = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{key}: not a private key in PEM without a password: {error}") from error
    if private.public_key() != leaf.public_key():
        raise UsageError(f"{key}: not the key of {certificate}")
    now = datetime.now(UTC)
    if now > leaf.not_valid_after_utc:
        raise UsageError(f"{certificate}: ran out on {leaf.not_valid_after_utc:%Y-%m-%d}; give a valid one")
    if now < leaf.not_valid_before_utc:
        raise UsageError(f"{certificate}: is valid from {leaf.not_valid_before_utc:%Y-%m-%d} on, not yet")
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credential(chain, private.private_bytes(*pem), _algorithm(private, key))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error


def _algorithm(private: Any, path: Path) -> str:
    curve = getattr(getattr(private, "curve", None), "name", None)
    kind = type(private).__name__.lower()
    known = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if curve in known:
        return known[curve]
    if "ed25519" in kind or "rsa" in kind:
        return "ed25519" if "ed25519" in kind else "ps256"
    raise UsageError(f"{path}: a key of kind {curve or kind}; C2PA takes P-256, P-384, P-521, Ed25519 and RSA")


def _made(x509: Any) -> Credential:
    """Make a root and a certificate of it, valid for ten years, with keys that are not kept."""
    ec = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ec")
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    organization = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "nobody")
    names = [
        x509.Name([organization, x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        for name in (UNNAMED, "root of it")
    ]
    leaf, root = (_certificate(x509, names, keys, number) for number in (0, 1))
    pem = serialization.Encoding.PEM
    secret = keys[0].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credential(leaf.public_bytes(pem) + root.public_bytes(pem), secret, "es256")


def _certificate(x509: Any, names: list[Any], keys: list[Any], number: int) -> Any:
    """Build the leaf (number 0) or the root (1), as C2PA's profile asks (C2PA 2.2, 14.5.1)."""
    hashes = importlib.import_module("cryptography.hazmat.primitives.hashes")
    root, now, public = number == 1, datetime.now(UTC), keys[number].public_key()
    usage = {name: False for name in ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")}
    usage |= {"encipher_only": False, "decipher_only": False, "crl_sign": root, "key_cert_sign": root}
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[number])
        .issuer_name(names[1])
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(root, 0 if root else None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not root, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[1].public_key()), critical=False)
    )
    if not root:
        purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(keys[1], hashes.SHA256())
