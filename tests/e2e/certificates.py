"""A certificate authority of a test, and what it signs. Nothing of it outlives the test."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from muster_local.ports import LOOPBACK

_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs certificates of 127.0.0.1, for servers and for clients."""

    folder: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    @classmethod
    def create(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True)
        authority = cls(folder, _named("an authority"), ec.generate_private_key(ec.SECP256R1()))
        certificate = authority.certify(authority.name, authority.key, x509.BasicConstraints(ca=True, path_length=0))
        authority.file.write_bytes(_pem(certificate))
        return authority

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a new certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(_named(name), key, x509.BasicConstraints(ca=False, path_length=None))
        files = (self.folder / f"{name}.pem", self.folder / f"{name}.key")
        files[0].write_bytes(_pem(certificate))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def issue_joined(self, name: str) -> Path:
        """Key and certificate in one file, as Kafka's broker wants them."""
        certificate, key = self.issue(name)
        joined = self.folder / f"{name}-both.pem"
        joined.write_bytes(key.read_bytes() + certificate.read_bytes())
        return joined

    def certify(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, kind: x509.BasicConstraints
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFE)
            .not_valid_after(now + _LIFE)
            .add_extension(kind, critical=True)
            .add_extension(address, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
