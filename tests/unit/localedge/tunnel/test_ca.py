from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from localedge.tunnel.ca import TUNNEL_HOSTNAMES, CertificateAuthority


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, hostname: str) -> ssl.SSLObject:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=hostname),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done: set[int] = set()
    while len(done) < len(ends):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                continue
    return ends[0]


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


def trusting(authority: CertificateAuthority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.certificate_pem().decode())


@pytest.mark.parametrize("name", TUNNEL_HOSTNAMES)
def test_whoever_trusts_the_root_trusts_the_tunnel_listener(
    authority: CertificateAuthority, name: str
) -> None:
    client = shake_hands(authority.tunnel_context(), trusting(authority), name)
    assert client.version() == "TLSv1.3"
    assert client.selected_alpn_protocol() is None


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["a.example.com"], "a.example.com"),
        (["*.example.com"], "b.example.com"),
        (["127.0.0.1"], "127.0.0.1"),
    ],
)
def test_an_https_listener_is_trusted_under_its_names(
    authority: CertificateAuthority, names: list[str], asked: str
) -> None:
    shake_hands(authority.https_context(names), trusting(authority), asked)


def test_another_name_is_not_trusted(authority: CertificateAuthority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(authority.https_context(["a.example.com"]), trusting(authority), "b.example.com")


def test_another_root_is_not_trusted(authority: CertificateAuthority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority.tunnel_context(), trusting(CertificateAuthority()), TUNNEL_HOSTNAMES[0])


def test_the_root_is_written_whole(authority: CertificateAuthority, tmp_path: Path) -> None:
    authority.write(tmp_path / "ca.pem")
    assert (tmp_path / "ca.pem").read_bytes() == authority.certificate_pem()
    assert [path.name for path in tmp_path.iterdir()] == ["ca.pem"]
