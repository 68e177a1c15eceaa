"""TLS: what of the contract holds over it, which certificates are good, and what is said of those that are not."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.kinds import TLS, make_certificate
from tests.furniture.processes import (
    PATIENCE,
    TWISTD,
    Twistd,
    client_command,
    ending,
    listening_twistd,
    port_of,
    process_output,
    start,
)
from wordecho.server import WordEchoFactory
from wordecho.sockets import tls

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}\n'
TWO_UNTERMINATED = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3,"terminated":false}\n'
SHOWN = b"1 word, 1 unique, 3 characters, 3 bytes\none\n"


class EndOfSendingTests(SynchronousTestCase):
    """TLS as Twisted speaks it has no half-close: who says good-bye reads nothing more."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.connection = TLS(WordEchoFactory(self.clock))

    def assert_closed(self) -> None:
        self.assertTrue(self.connection.server_transport.disconnecting)
        self.connection.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_was_answered_before_is_there(self) -> None:
        self.connection.send(b"one\n")
        self.connection.say_good_bye()
        self.assertEqual(self.connection.received(), ONE)
        self.assert_closed()

    def test_lines_that_come_with_the_good_bye_are_answered_before_it_counts(self) -> None:
        self.connection.say_good_bye(b"one\n" * 1000)
        self.assertEqual(self.connection.received(), ONE * 1000)
        self.assert_closed()

    def test_a_message_without_an_ending_is_not_answered(self) -> None:
        self.connection.say_good_bye(b"two")
        self.assertEqual(self.connection.received(), b"")
        self.assert_closed()

    def test_the_quiet_period_answers_it(self) -> None:
        self.connection.send(b"two")
        self.clock.advance(2)
        self.assertEqual(self.connection.received(), TWO_UNTERMINATED)

    def test_the_server_says_good_bye_when_it_goes(self) -> None:
        self.clock.advance(300)
        self.assertEqual(json.loads(self.connection.received())["error"], "idle-timeout")
        self.connection.client.connectionLost(ConnectionDone())
        self.assertIsInstance(self.connection.recorder.reason, ConnectionDone)


class BackPressureTests(SynchronousTestCase):
    def test_the_server_asks_nothing_of_a_connection_that_does_not_read(self) -> None:
        connection = TLS(WordEchoFactory(Clock()))
        producer: Any = connection.server_transport.producer
        producer.pauseProducing()
        self.assertEqual(connection.server_transport.producerState, "paused")
        connection.send(b"one\n")
        self.assertEqual(connection.received(), b"")
        producer.resumeProducing()
        self.assertEqual(connection.received(), ONE)
        self.assertEqual(connection.server_transport.producerState, "producing")

    def test_a_reply_does_not_wait_for_an_acknowledgement(self) -> None:
        self.assertIn("TCP_NODELAY", TLS(WordEchoFactory(Clock())).server_transport.options)


def lock(key: str) -> str:
    """Return a file beside that of ``key`` with the same private key, which wants the passphrase ``secret``."""
    locked = str(Path(key).with_name("locked.pem"))
    command = ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    return locked


class CertificateFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        make_certificate(self.folder)
        self.cert, self.key = str(self.folder / "cert.pem"), str(self.folder / "key.pem")

    def refusal(self, *arguments: str) -> str:
        return str(self.assertRaises(ValueError, tls.server_options, *arguments))

    def test_a_key_may_stand_in_the_file_of_its_certificate(self) -> None:
        both = self.folder / "both.pem"
        both.write_text(Path(self.cert).read_text() + Path(self.key).read_text())
        tls.server_options(str(both))
        tls.client_options("localhost", cert=str(both))

    def test_the_chain_stands_after_the_certificate(self) -> None:
        chained = self.folder / "chained.pem"
        chained.write_text(Path(self.cert).read_text() * 2)
        self.assertEqual(len(tls.server_options(str(chained), self.key).extraCertChain), 1)

    def test_a_file_that_is_not_what_it_should_be_is_a_sentence_that_names_it(self) -> None:
        nosuch, empty, broken = (str(self.folder / name) for name in ("nosuch.pem", "empty.pem", "broken.pem"))
        Path(empty).write_text("")
        Path(broken).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        other = self.folder / "other"
        other.mkdir()
        make_certificate(other)
        locked = lock(self.key)
        self.assertEqual(self.refusal(nosuch, self.key), f"cannot read {nosuch!r}: No such file or directory.")
        for cert in empty, broken, self.key:
            self.assertEqual(self.refusal(cert, self.key), f"there is no certificate in PEM in {cert!r}.")
        for key in self.cert, empty, locked:
            sentence = f"there is no private key in PEM without a passphrase in {key!r}."
            self.assertEqual(self.refusal(self.cert, key), sentence)
        self.assertEqual(
            self.refusal(self.cert, str(other / "key.pem")),
            f"the private key in {str(other / 'key.pem')!r} is not that of the certificate in {self.cert!r}.",
        )
        self.assertEqual(self.refusal(self.cert, self.key, empty), f"there is no certificate in PEM in {empty!r}.")


class ReasonTests(SynchronousTestCase):
    def test_what_has_nothing_to_do_with_tls_is_not_explained(self) -> None:
        self.assertIsNone(tls.why_it_failed(ConnectionDone()))
        self.assertIsNone(tls.why_it_failed(None))

    def test_an_error_of_any_form_is_a_sentence(self) -> None:
        for error in (SSL.Error(), SSL.Error([]), SSL.Error([("SSL routines", "", "bad record mac")])):
            self.assertRegex(str(tls.why_it_failed(error)), r"^TLS failed: .*\.$")


# Real sockets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate of the server, and a stranger's in ``stranger``."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "stranger").mkdir()
    for each in folder, folder / "stranger":
        make_certificate(each)
    return folder


def secure(folder: Path, *options: str, endpoint: str = "tls:tcp:0:interface=127.0.0.1") -> Any:
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    return listening_twistd("--listen", endpoint, "--cert", cert, "--key", key, *options)


def handshake(port: int, **settings: Any) -> str | None:
    """Return the version of TLS that a client with these ``settings`` of its context gets; raises ssl.SSLError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # or this side would not even try an old version
    for name, value in settings.items():
        setattr(context, name, value)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"one\n")
        assert connection.recv(1024) == ONE
        return connection.version()


@pytest_twisted.ensureDeferred
async def test_the_client_and_a_plain_ssl_socket_get_their_answers(folder: Path) -> None:
    cert = str(folder / "cert.pem")
    async with secure(folder) as (address,):
        ask = "-p", str(port_of(address)), "--tls", "--ca", cert
        for host in "127.0.0.1", "localhost":
            assert await client_command(*ask, host, "one") == (SHOWN, "", 0)
        (folder / "roots").mkdir(exist_ok=True)
        shutil.copy(cert, folder / "roots")
        endpoint = f"tls:localhost:{port_of(address)}:trustRoots={folder / 'roots'}"
        assert await client_command(endpoint, "one") == (SHOWN, "", 0)
        messages = b"".join(b"message %d\n" % number for number in range(20_000))
        out, err, status = await client_command(*ask, "--json", "127.0.0.1", stdin=messages)
        assert (out.count(b"\n"), err, status) == (20_000, "", 0)


@pytest_twisted.ensureDeferred
async def test_it_is_tls_1_2_or_newer(folder: Path) -> None:
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    ssl_endpoint = f"ssl:0:privateKey={both}:interface=127.0.0.1"
    async with secure(folder, "--listen", ssl_endpoint) as addresses:
        for port in map(port_of, addresses):
            assert await deferToThread(handshake, port) == "TLSv1.3"
            assert await deferToThread(handshake, port, maximum_version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
            with (
                pytest.warns(DeprecationWarning, match="TLSv1"),
                pytest.raises(ssl.SSLError, match=r"(?i)version|protocol"),
                contextlib.suppress(ConnectionError),
            ):
                old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}
                await deferToThread(handshake, port, **old)


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here; Debian has it in openssl")
@pytest_twisted.ensureDeferred
async def test_openssl_s_client_gets_its_answer(folder: Path) -> None:
    # It never ends by itself; the server sends it away.
    async with secure(folder, "--idle-timeout", "1", "--quiet-period", "0") as (address,):
        command = ["s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-CAfile"]
        command = [shutil.which("openssl") or "", *command, str(folder / "cert.pem")]
        command += ["-connect", f"127.0.0.1:{port_of(address)}"]
        out, _, _ = await process_output(*command, stdin=b"one\n")
    one, farewell = out.splitlines(keepends=True)
    assert (one, json.loads(farewell)["error"]) == (ONE, "idle-timeout")


@pytest_twisted.ensureDeferred
async def test_a_client_certificate_is_wanted_and_checked(folder: Path) -> None:
    cert, key, stranger = str(folder / "cert.pem"), str(folder / "key.pem"), folder / "stranger"
    async with secure(folder, "--ca", cert) as (address,):
        ask = "-p", str(port_of(address)), "--tls", "--ca", cert
        good = await client_command(*ask, "--cert", cert, "--key", key, "127.0.0.1", "one")
        none = await client_command(*ask, "127.0.0.1", "one")
        strange = "--cert", str(stranger / "cert.pem"), "--key", str(stranger / "key.pem")
        wrong = await client_command(*ask, *strange, "127.0.0.1", "one")
    assert good == (SHOWN, "", 0)
    for out, err, status in none, wrong:
        assert (out, status) == (b"", 3)
        assert re.fullmatch(r"wordecho: (TLS failed|the connection to the server is gone): .*\.\n", err)


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_does_not_verify_is_one_sentence_and_exit_status_3(folder: Path) -> None:
    stranger = str(folder / "stranger" / "cert.pem")
    (folder / "roots").mkdir(exist_ok=True)
    shutil.copy(folder / "cert.pem", folder / "roots")
    async with secure(folder) as (address,):
        port = str(port_of(address))
        unknown = await client_command("-p", port, "--tls", "127.0.0.1", "one")
        strange = await client_command("-p", port, "--tls", "--ca", stranger, "localhost", stdin=b"one\n")
        endpoint = f"tls:example.org:{port}:endpoint=tcp\\:127.0.0.1\\:{port}:trustRoots={folder / 'roots'}"
        other_name = await client_command(endpoint, "one")
    for ran in unknown, strange:
        sentence = "the server's certificate does not verify: no authority that this client trusts vouches for it now."
        assert ran == (b"", f"wordecho: {sentence}\n", 3)
    assert other_name == (b"", "wordecho: the server's certificate is for another name.\n", 3)


@pytest_twisted.ensureDeferred
async def test_tls_to_a_server_that_speaks_none_and_none_to_one_that_does_are_one_sentence(folder: Path) -> None:
    async with secure(folder, "--listen", "tcp:0:interface=127.0.0.1") as (with_tls, without):
        to_plain = await client_command("-p", str(port_of(without)), "--tls", "127.0.0.1", "one")
        to_tls = await client_command("-p", str(port_of(with_tls)), "127.0.0.1", "one")
    assert to_plain == (b"", "wordecho: TLS failed: what answers there does not speak TLS.\n", 3)
    assert (to_tls[0], to_tls[2]) in ((b"", 3), (b"", 4))
    assert to_tls[1].count("\n") == 1


@pytest_twisted.ensureDeferred
async def test_tls_goes_over_a_unix_socket_and_behind_a_proxy(folder: Path, tmp_path: Path) -> None:
    def talk(family: int, address: Any, header: bytes) -> bytes:
        context = ssl.create_default_context(cafile=folder / "cert.pem")
        with socket.socket(family) as plain:
            plain.settimeout(PATIENCE)
            plain.connect(address)
            plain.sendall(header)
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(b"one\n")
                return connection.recv(1024)

    path = str(tmp_path / "socket")
    behind = "--listen", "tls:haproxy:tcp:0:interface=127.0.0.1"
    async with secure(folder, *behind, endpoint=f"tls:unix:{path}") as (_, address):
        assert await deferToThread(talk, socket.AF_UNIX, path, b"") == ONE
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 65432\r\n"
        assert await deferToThread(talk, socket.AF_INET, ("127.0.0.1", port_of(address)), header) == ONE


@pytest_twisted.ensureDeferred
async def test_silent_strangers_at_any_endpoint_keep_nobody_out_and_are_cut_off(folder: Path) -> None:
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 65432\r\n"
    endpoints = {
        f"ssl:0:privateKey={both}:interface=127.0.0.1": b"",
        "haproxy:tcp:0:interface=127.0.0.1": b"",
        "tls:haproxy:tcp:0:interface=127.0.0.1": header,
    }
    listen = [option for endpoint in endpoints for option in ("--listen", endpoint)]
    options = "--max-connections", "1", "--handshake-timeout", "1", "--idle-timeout", "0"

    def is_cut_off(stranger: socket.socket) -> bool:
        with contextlib.suppress(ConnectionResetError):
            return stranger.recv(1) == b""
        return True

    async with secure(folder, *listen, *options) as addresses:
        with contextlib.ExitStack() as stack:
            strangers = []
            for address, words in zip(addresses, [b"", *endpoints.values()], strict=True):
                plain = socket.create_connection(("127.0.0.1", port_of(address)), timeout=PATIENCE)
                strangers.append(stack.enter_context(plain))
                plain.sendall(words)
            assert await deferToThread(handshake, port_of(addresses[0])) == "TLSv1.3"
            assert await deferToThread(lambda: [is_cut_off(stranger) for stranger in strangers]) == [True] * 4


@pytest_twisted.ensureDeferred
async def test_a_peer_that_does_not_read_is_answered_in_full_when_it_does(folder: Path) -> None:
    def send_then_read(port: int) -> int:
        context = ssl.create_default_context(cafile=folder / "cert.pem")
        plain = socket.create_connection(("127.0.0.1", port), timeout=0.2)
        with plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.settimeout(0.2)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while True:  # until both kernels and the server hold all that they will
                    connection.sendall(b"one\n" * 1000)
                    sent += 1000
            connection.settimeout(PATIENCE)
            received = 0
            while received < sent:
                received += connection.recv(65536).count(b"\n")
            return sent

    async with secure(folder) as (address,):
        assert await deferToThread(send_then_read, port_of(address)) > 10_000


@pytest_twisted.ensureDeferred
async def test_nobody_at_a_terminal_is_asked_for_a_passphrase(folder: Path) -> None:
    locked = lock(str(folder / "key.pem"))
    options = "--listen", "tls:tcp:0", "--cert", str(folder / "cert.pem"), "--key", locked
    async with ending(Twistd()) as child:
        start(child, TWISTD, "-n", "--pidfile=", "wordecho", *options, usePTY=True)
        child.transport.write(b"secret\n")  # type: ignore[union-attr]
        assert await child.ended == 1
    sentence = child.log.split("\r\n")[-2]
    assert sentence.endswith(f"there is no private key in PEM without a passphrase in {locked!r}.")


@pytest_twisted.ensureDeferred
async def test_without_the_extra_it_is_one_sentence(folder: Path) -> None:
    cert = str(folder / "cert.pem")
    hide = "import sys; sys.modules['OpenSSL'] = None; "
    server = hide + "from wordecho.service.options import Options; Options().parseOptions(sys.argv[1:])"
    _, err, _ = await process_output(sys.executable, "-c", server, "--listen", "tls:tcp:0", "--cert", cert)
    assert err.splitlines()[-1].endswith(
        "TLS needs more than is installed; install wordecho[tls], as in pip install '.[tls]'."
    )
    client = hide + "from wordecho.client.command import main; main()"
    ran = await process_output(sys.executable, "-c", client, "--tls", "127.0.0.1", "one")
    assert ran[1].startswith("wordecho: TLS needs more than is installed; install wordecho[tls]")
    assert (ran[0], ran[2]) == (b"", 2)


@pytest_twisted.ensureDeferred
async def test_no_tls_costs_nothing() -> None:
    modules = (
        "import sys, wordecho.service, wordecho.client.command; "
        "print('OpenSSL' in sys.modules, 'wordecho.sockets.tls' in sys.modules)"
    )
    out, _, _ = await process_output(sys.executable, "-c", modules)
    assert out.split()[1] == b"False"
