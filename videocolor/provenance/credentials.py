"""What a manifest is signed with: the user's certificate, or one made on the spot that names nobody."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from videocolor.errors import UsageError

__all__ = ["UNNAMED", "Credential", "load_credential", "provenance_packages"]

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
