"""
TLS for both ends: certificates from files, and what went wrong in a sentence.

It is TLS 1.2 or newer. Nothing here is imported before somebody asks for TLS, since ``pip install wordecho`` alone
does not bring what it needs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet import ssl
from twisted.internet.error import VerifyError
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocolFactory, IReactorTime

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def server_options(cert: str, key: str | None = None, ca: str | None = None) -> ssl.CertificateOptions:
    """
    Return what a server needs to speak TLS.

    :param cert: the file of its certificate in PEM, with those that lead from it to an authority after it
    :param key: the file of its private key in PEM; None where it stands in ``cert``
    :param ca: the file of the authorities; a client must present a certificate that one of them vouches for. None
        where clients need none
    :raises ValueError: if a file cannot be read or is not what it should be; says so in a sentence.
    """
    certificate, chain = _load_own(cert, key)
    return ssl.CertificateOptions(
        privateKey=certificate.privateKey.original,
        certificate=certificate.original,
        extraCertChain=chain,
        trustRoot=None if ca is None else _load_authorities(ca),
        raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
    )


def client_options(
    host: str, *, ca: str | None = None, cert: str | None = None, key: str | None = None
) -> IOpenSSLClientConnectionCreator:
    """
    Return what a client needs to speak TLS.

    :param host: the name or the address that the server's certificate must have
    :param ca: the file of the authorities that may vouch for it; None for those of this machine
    :param cert: the file of the client's own certificate in PEM; None where the server asks for none
    :param key: the file of its private key in PEM; None where it stands in ``cert``
    :raises ValueError: if a file cannot be read or is not what it should be; says so in a sentence.
    """
    own, chain = (None, None) if cert is None else _load_own(cert, key)
    return ssl.optionsForClientTLS(
        host,
        trustRoot=None if ca is None else _load_authorities(ca),
        clientCertificate=own,
        extraCertificateOptions={"extraCertChain": chain, "raiseMinimumTo": ssl.TLSVersion.TLSv1_2},
    )


def wrap(options: ssl.CertificateOptions, factory: IProtocolFactory, reactor: IReactorTime) -> TLSMemoryBIOFactory:
    """Return a factory of server connections that speak TLS below the protocols of ``factory``."""
    wrapping = TLSMemoryBIOFactory(options, False, factory, reactor)
    # The default gathers small writes until the reactor's next turn, when a client that said good-bye in the same
    # breath is gone. There is little to gather: a write has the replies to up to 4 kB of messages.
    wrapping.protocol = TLSMemoryBIOProtocol
    return wrapping


def why_it_failed(error: BaseException | None) -> str | None:
    """Return what is wrong with the TLS of a connection that ``error`` ended, None where that was something else."""
    if isinstance(error, VerificationError):
        return "the server's certificate is for another name."
    if not isinstance(error, SSL.Error):
        return None
    reasons = [reason for _, _, reason in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    if "certificate verify failed" in reasons:
        return "the server's certificate does not verify: no authority that this client trusts vouches for it now."
    if "wrong version number" in reasons:
        return "TLS failed: what answers there does not speak TLS."
    return f"TLS failed: {', '.join(reasons) or error}."


def _load_own(cert: str, key: str | None) -> tuple[ssl.PrivateCertificate, list[crypto.X509]]:
    leaf, *chain = _load_certificates(cert)
    key = cert if key is None else key
    try:
        # Without a passphrase of any kind, OpenSSL would ask the terminal for one.
        private_key = crypto.load_privatekey(crypto.FILETYPE_PEM, _read(key), passphrase=b"")
    except crypto.Error:
        raise ValueError(f"there is no private key in PEM without a passphrase in {key!r}.") from None
    try:
        own = ssl.PrivateCertificate.fromCertificateAndKeyPair(leaf, ssl.KeyPair(private_key))
    except VerifyError:
        raise ValueError(f"the private key in {key!r} is not that of the certificate in {cert!r}.") from None
    return own, [certificate.original for certificate in chain]


def _load_authorities(ca: str) -> Any:
    return ssl.trustRootFromCertificates(_load_certificates(ca))


def _load_certificates(path: str) -> list[ssl.Certificate]:
    try:
        certificates = [ssl.Certificate.loadPEM(pem) for pem in _CERTIFICATE.findall(_read(path))]
    except crypto.Error:
        certificates = []
    if not certificates:
        raise ValueError(f"there is no certificate in PEM in {path!r}.")
    return certificates


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path!r}: {error.strerror}.") from None
