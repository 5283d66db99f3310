"""Certificates that are trusted only on request."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rotator.devstack.http_server import LOOPBACK


def write_self_signed(file: Path) -> None:
    """Write a self-signed certificate for the loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, LOOPBACK)])
    address = x509.IPAddress(ipaddress.ip_address(LOOPBACK))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def write_private_chain(authority: Path, file: Path) -> None:
    """Write the certificate of a plain private authority, and one that it issued, with its key.

    The authority's has no more than browsers asked for twenty years ago, and less than RFC 5280, 4.2 does.
    """
    key, its_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _builder("a private authority", "a private authority", its_key)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    address = x509.IPAddress(ipaddress.ip_address(LOOPBACK))
    issued = _builder(LOOPBACK, "a private authority", key)
    issued = issued.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    pem = serialization.Encoding.PEM
    authority.write_bytes(root.sign(its_key, hashes.SHA256()).public_bytes(pem))
    file.write_bytes(
        issued.sign(its_key, hashes.SHA256()).public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (issuer, subject)]
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = x509.CertificateBuilder(names[0], names[1], key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now - day).not_valid_after(now + day)


def server_context(certificate: Path) -> ssl.SSLContext:
    """A server's side of TLS with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
