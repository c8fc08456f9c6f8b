"""The edge's own certificate authority: cloudflared trusts it, by `--cacert`, in place of its roots."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TUNNEL_HOSTNAMES = ("h2.cftunnel.com", "quic.cftunnel.com", "probe.cftunnel.com")
"""The server names that cloudflared asks for: http2, QUIC, and its checks before it starts."""

_CLOCK_SKEW = dt.timedelta(hours=1)
_LIFETIME = dt.timedelta(days=30)


class CertificateAuthority:
    """An EC P-256 root, valid for 30 days, whose key lives in memory only."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("tunnelpool local edge CA")
        self._certificate = (
            _template(name, name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def certificate_pem(self) -> bytes:
        """Give the root certificate, for `--cacert`."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, path: Path) -> None:
        """Write the root certificate to a file, in one step."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_bytes(self.certificate_pem())
        unfinished.replace(path)

    def tunnel_context(self) -> ssl.SSLContext:
        """Make a server context for the listener that cloudflared dials. No ALPN: it offers none."""
        return self._server_context(TUNNEL_HOSTNAMES)

    def https_context(self, hostnames: Sequence[str]) -> ssl.SSLContext:
        """Make a server context for an ordinary https listener: names, `*.` wildcards or IP addresses."""
        context = self._server_context(hostnames)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _server_context(self, hostnames: Sequence[str]) -> ssl.SSLContext:
        key, chain = self._issue(hostnames)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # HTTP/2 forbids the other suites of TLS 1.2 (RFC 9113, appendix A), and Go's server hangs up on them.
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        # ssl loads a key from a file only; the file is readable by nobody else and gone at once.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "leaf.pem")
            path.touch(mode=0o600)
            path.write_bytes(key + chain)
            context.load_cert_chain(path)
        return context

    def _issue(self, hostnames: Sequence[str]) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        leaf = (
            _template(_name(hostnames[0]), self._certificate.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([_san(name) for name in hostnames]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(server, critical=False)
            .add_extension(authority_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key_pem, leaf.public_bytes(serialization.Encoding.PEM) + self.certificate_pem()


def _template(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    longest = 64
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:longest])])


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
