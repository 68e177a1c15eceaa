"""The client's own certificate, where an authority vouches for it by way of another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ServerEndpoint

from tests.furniture.processes import PATIENCE
from wordecho.client import Answer, ServerGoneError
from wordecho.client.options import Options
from wordecho.server import WordEchoFactory
from wordecho.sockets import tls

reactor: Any = _reactor


class Certified(NamedTuple):
    """Somebody with a certificate; ``pem`` is the certificate."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    pem: bytes

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certify(common_name: str, issuer: Certified | None = None, *, is_authority: bool = False) -> Certified:
    """Make a certificate that ``issuer`` vouches for; None for one that vouches for itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(issuer.name if issuer else name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(issuer.key if issuer else key, SHA256())
    )
    return Certified(name, key, certificate.public_bytes(Encoding.PEM))


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[int]:
    """Listen with TLS on a free port of 127.0.0.1, for clients whose authority is in root.pem; yields the port."""
    options = tls.server_options(*(str(folder / name) for name in ("server.pem", "server.key", "root.pem")))
    factory = tls.wrap(options, WordEchoFactory(reactor), reactor)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()


async def ask(port: int, folder: Path, cert: str) -> Answer:
    """Return what comes for a message of a client that shows the certificates of the file ``cert``."""
    config = Options()
    files = "--ca", str(folder / "server.pem"), "--cert", str(folder / cert), "--key", str(folder / "client.key")
    config.parseOptions(["--tls", *files, "--port", str(port), "localhost"])
    client = await config.connect(reactor)
    try:
        return await client.ask(b"one").addTimeout(PATIENCE, reactor)
    finally:
        client.close()
        await client.lost.addTimeout(PATIENCE, reactor)


@pytest_twisted.ensureDeferred
async def test_the_client_shows_the_chain_from_its_certificate_to_the_authority(tmp_path: Path) -> None:
    server = certify("localhost")
    root = certify("root", is_authority=True)
    intermediate = certify("intermediate", root, is_authority=True)
    client = certify("client", intermediate)
    for name, octets in (
        ("server.pem", server.pem),
        ("server.key", server.key_pem),
        ("root.pem", root.pem),
        ("client.key", client.key_pem),
        ("client.pem", client.pem),
        ("chain.pem", client.pem + intermediate.pem),
    ):
        (tmp_path / name).write_bytes(octets)
    async with listening(tmp_path) as port:
        answer = await ask(port, tmp_path, "chain.pem")
        assert answer.line == b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
        with pytest.raises(ServerGoneError):
            await ask(port, tmp_path, "client.pem")
