"""What a user gets from ``python -m wordecho.client``: its output, its complaints and its exit status."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredQueue, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.wire import Echo

from tests.furniture.processes import PATIENCE, Child, client_command, start
from wordecho import wire
from wordecho.server import WordEchoFactory
from wordecho.wire import python_engine

reactor: Any = _reactor

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}\n'
ONE_SHOWN = b"1 word, 1 unique, 3 characters, 3 bytes\none\n"
TWO_SHOWN = b"1 word, 1 unique, 3 characters, 3 bytes\ntwo\n"
EMPTY_SHOWN = b"0 words, 0 unique, 0 characters, 0 bytes\n\n"
DEEP = b'{"new":' + b"[" * 10_000

Ran = tuple[bytes, str, int]  # standard output, standard error, exit status


class Saying(Protocol):
    """A server that says one thing, to whatever comes first, and may hang up then."""

    def __init__(self, said: bytes, *, hangs_up: bool = False) -> None:
        self.said = said
        self.hangs_up = hangs_up

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self.said)  # type: ignore[union-attr]
        self.said = b""
        if self.hangs_up:
            self.transport.loseWriteConnection()  # type: ignore[union-attr]


def saying(said: bytes, *, hangs_up: bool = False) -> Factory[Saying]:
    return Factory.forProtocol(partial(Saying, said, hangs_up=hangs_up))


def real_server() -> WordEchoFactory:
    return WordEchoFactory(reactor)


@asynccontextmanager
async def listening(factory: Any) -> AsyncIterator[int]:
    """Listen on a free port of 127.0.0.1 with ``factory``; yields the port."""
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()


async def at_once(*runs: Coroutine[Deferred[Any], Any, Ran]) -> list[Ran]:
    return await gatherResults([Deferred.fromCoroutine(run) for run in runs], consumeErrors=True)


async def ask(port: int, *message: str, options: tuple[str, ...] = (), stdin: bytes = b"") -> Ran:
    return await client_command("--port", str(port), *options, "127.0.0.1", *message, stdin=stdin)


# Exit status 0


@pytest_twisted.ensureDeferred
async def test_the_server_may_be_named_by_name_address_or_endpoint() -> None:
    async with listening(real_server()) as port:
        for ran in await at_once(
            ask(port, "Hello,", "नमस्ते", "hello", "Hello"),
            client_command("-p", str(port), "localhost", "Hello, नमस्ते hello Hello"),
            client_command(f"tcp:127.0.0.1:{port}", "Hello, नमस्ते hello Hello"),
        ):
            assert ran == ("4 words, 3 unique, 25 characters, 37 bytes\nHello नमस्ते hello\n".encode(), "", 0)


@pytest_twisted.ensureDeferred
async def test_each_line_of_input_is_a_message() -> None:
    async with listening(real_server()) as port:
        lines, nothing, dash, empty, several = await at_once(
            ask(port, stdin=b"one\r\n\ntwo"),
            ask(port),
            ask(port, "-", stdin=b"one\n"),
            ask(port, ""),
            ask(port, "one\n\ntwo"),
        )
        assert lines == (ONE_SHOWN + EMPTY_SHOWN + TWO_SHOWN, "", 0)
        assert nothing == (b"", "", 0)
        assert dash == (ONE_SHOWN, "", 0)
        assert empty == (EMPTY_SHOWN, "", 0)
        assert several == (ONE_SHOWN + EMPTY_SHOWN + TWO_SHOWN, "", 0)


@pytest_twisted.ensureDeferred
async def test_large_input_is_answered_to_the_last_line_and_in_order() -> None:
    messages = [b"line %d of the input" % number for number in range(20_000)]
    async with listening(real_server()) as port:
        out, err, status = await ask(port, options=("--json",), stdin=b"\n".join(messages))
        assert out.splitlines() == [python_engine.answer(message) for message in messages]
        assert (err, status) == ("", 0)


@pytest_twisted.ensureDeferred
async def test_json_is_the_reply_lines_byte_for_byte() -> None:
    line = b'{ "bytes":3, "length" :3,"word_count":1,"unique_words":["\\u006fne"],"new":"\xc3\xa9"}'
    async with listening(saying(line + b"\r\n")) as port:
        assert await ask(port, "one", options=("--json",)) == (line + b"\n", "", 0)


# Exit status 1


@pytest_twisted.ensureDeferred
async def test_a_message_that_is_refused_does_not_keep_the_others_from_being_answered() -> None:
    async with listening(real_server()) as port:
        plain, in_json = await at_once(
            ask(port, stdin=b"one\n\xff\ntwo\n"), ask(port, options=("--json",), stdin=b"one\n\xff\n")
        )
        detail = wire.not_utf_8(0).detail
        assert plain == (ONE_SHOWN + TWO_SHOWN, f"wordecho: message 2 was refused (not-utf-8): {detail}\n", 1)
        assert in_json == (ONE + python_engine.answer(b"\xff") + b"\n", "", 1)


@pytest_twisted.ensureDeferred
async def test_a_binary_file_gets_one_reply_for_each_line() -> None:
    binary = random.Random(0).randbytes(300_000) + b"\nits end"
    async with listening(real_server()) as port:
        out, err, status = await ask(port, options=("--json",), stdin=binary)
        assert out.splitlines() == [python_engine.answer(line.removesuffix(b"\r")) for line in binary.split(b"\n")]
        assert (err, status) == ("", 1)


# Exit status 2


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "HOST"),
        (["--colour", "127.0.0.1"], "--colour"),
        (["--port", "http", "127.0.0.1", "one"], "--port .* 'http'"),
        (["127.0.0.1:65432", "one"], "'127.0.0.1:65432'"),
        (["--port", "65432", "tcp:127.0.0.1:65432", "one"], "--port .* 'tcp:127.0.0.1:65432'"),
    ],
)
async def test_wrong_usage(arguments: list[str], named: str) -> None:
    out, err, status = await client_command(*arguments)
    assert re.fullmatch(rf"wordecho: .*{named}.*(?<!\.)\. Try --help\.\n", err)
    assert (out, status) == (b"", 2)


# Exit statuses 3 and 4


async def give_up(server: Any, *options: str) -> tuple[bytes, str, int]:
    """
    Return what becomes of two messages to ``server``, and of those who wait for the replies.

    It is the same whether the messages are arguments or standard input.
    """
    async with listening(server) as port:
        by_argument, by_input = await at_once(
            ask(port, "one\none", options=("--json", *options)),
            ask(port, options=("--json", *options), stdin=b"one\none\n"),
        )
    assert by_argument == by_input
    return by_argument


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("printed", "due"), [(b"", "2 replies were"), (ONE, "1 reply was")], ids=["at-once", "half-way"]
)
async def test_a_server_that_falls_silent(printed: bytes, due: str) -> None:
    complaint = f"wordecho: the server fell silent: nothing came for 0.5 seconds while {due} due.\n"
    assert await give_up(saying(printed), "--timeout", "0.5") == (printed, complaint, 3)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("printed", [b"", ONE], ids=["at-once", "half-way"])
async def test_a_server_that_hangs_up(printed: bytes) -> None:
    complaint = "wordecho: the connection to the server is gone: Connection was closed cleanly.\n"
    assert await give_up(saying(printed, hangs_up=True)) == (printed, complaint, 3)


@pytest_twisted.ensureDeferred
async def test_a_server_that_takes_no_more_connections() -> None:
    complaint = f"wordecho: the server closes the connection: {wire.too_many_connections(0).detail}\n"
    assert await give_up(WordEchoFactory(reactor, max_connections=0)) == (b"", complaint, 3)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("server", "why"),
    [
        (Factory.forProtocol(Echo), "it sent b'one'"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", hangs_up=True), "it sent b'HTTP/1.1 400 Bad Request'"),
        (saying(ONE.replace(b"3}", b"2}")), "it replied to 2 bytes when 3 were sent"),
        (saying(DEEP + b"\n"), f"it sent {DEEP[:40]!r}"),
    ],
    ids=["echo", "http", "wrong-bytes", "deep-json"],
)
async def test_a_server_that_is_another_one(server: Any, why: str) -> None:
    complaint = f"wordecho: what answered is not a wordecho server: {why}.\n"
    assert await give_up(server) == (b"", complaint, 4)


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as bound:  # and not listening, so that the port is nobody else's either
        bound.bind(("127.0.0.1", 0))
        _, port = bound.getsockname()
        out, err, status = await ask(port, "one")
    assert re.fullmatch(r"wordecho: the server cannot be reached: .*\.\n", err)
    assert (out, status) == (b"", 3)


# What a hostile server says


@pytest_twisted.ensureDeferred
async def test_nothing_that_a_server_says_can_act_on_the_terminal() -> None:
    hostile = "\x1b[2J\x9b1m\u202e\r\x00"
    escaped = r"\u001b[2J\u009b1m\u202e\r\u0000"
    reply = wire.encode(wire.Reply([hostile, "ক\u200dষ"], 2, 3, 3))
    refusal = wire.encode(wire.Refusal(hostile, hostile))
    farewell = wire.encode(wire.Refusal(wire.IDLE_TIMEOUT, hostile))
    async with (
        listening(saying(reply + b"\n")) as replying,
        listening(saying(refusal + b"\n")) as refusing,
        listening(saying(farewell + b"\n")) as parting,
        listening(saying(hostile.encode() + b"\n")) as babbling,
    ):
        replied, refused, parted, babbled = await at_once(
            *(ask(port, "one") for port in (replying, refusing, parting, babbling))
        )
        shown = f"2 words, 2 unique, 3 characters, 3 bytes\n{escaped} ক\u200dষ\n"
        assert replied == (shown.encode(), "", 0)
        assert refused == (b"", f"wordecho: message 1 was refused ({escaped}): {escaped}\n", 1)
        assert parted == (b"", f"wordecho: the server closes the connection: {escaped}\n", 3)
        assert babbled[1].removesuffix("\n").isprintable()
        assert (babbled[0], babbled[2]) == (b"", 4)


# The process


class Client(Child):
    """
    ``python -m wordecho.client`` as a child process whose standard input stays open.

    Each stream is a new pipe, unless it is given as a descriptor, or as None to be closed. A shell runs ``before`` it.

    :ivar printed: what it has written to standard output, by pieces
    """

    def __init__(
        self,
        *arguments: str,
        stdin: int | str | None = "w",
        stdout: int | str | None = "r",
        stderr: int | str | None = "r",
        before: str = ":",
    ) -> None:
        super().__init__()
        self.printed: DeferredQueue[bytes] = DeferredQueue()
        command = ["/bin/sh", "-c", f'{before}; exec "$@"', "sh", sys.executable, "-m", "wordecho.client", *arguments]
        descriptors = {number: fd for number, fd in enumerate((stdin, stdout, stderr)) if fd is not None}
        start(self, *command, childFDs=descriptors)

    @property
    def complaints(self) -> str:
        """What it has written to standard error so far."""
        return self.errors.decode()

    def type(self, text: bytes) -> None:
        self.transport.write(text)  # type: ignore[union-attr]

    async def line(self) -> bytes:
        return await self.printed.get().addTimeout(PATIENCE, reactor)

    def outReceived(self, data: bytes) -> None:
        self.printed.put(data)


def to(port: int, *message: str) -> tuple[str, ...]:
    """Return the arguments of a client that prints the replies to ``message``, or to standard input, as JSON."""
    return "--json", "--port", str(port), "127.0.0.1", *message


@pytest_twisted.ensureDeferred
async def test_a_line_is_answered_before_the_next_one_is_typed() -> None:
    async with listening(real_server()) as port:
        client = Client(*to(port))
        for _ in range(2):
            client.type(b"one\n")
            assert await client.line() == ONE
        client.transport.closeStdin()  # type: ignore[union-attr]
        assert await client.ended == 0


class Mute(Protocol):
    """
    A server that says nothing until it is told to.

    :ivar asked: fires with the first octets that come
    """

    def __init__(self) -> None:
        self.asked: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if not self.asked.called:
            self.asked.callback(data)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["INT", "TERM"])
async def test_a_signal_ends_a_client_that_waits_for_its_user_at_once_and_in_silence(name: str) -> None:
    async with listening(real_server()) as port:
        client = Client(*to(port))
        client.type(b"one\n")
        await client.line()
        client.signal(name)
        assert (await client.ended, client.complaints) == (-getattr(signal, f"SIG{name}"), "")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["INT", "TERM"])
async def test_a_signal_ends_a_client_that_waits_for_a_mute_server_at_once_and_in_silence(name: str) -> None:
    server = Mute()
    async with listening(Factory.forProtocol(lambda: server)) as port:
        client = Client(*to(port, "one"))
        await server.asked.addTimeout(PATIENCE, reactor)
        client.signal(name)
        assert (await client.ended, client.complaints) == (-getattr(signal, f"SIG{name}"), "")


@pytest_twisted.ensureDeferred
async def test_a_signal_that_the_client_was_started_to_ignore_is_ignored() -> None:
    server = Mute()
    async with listening(Factory.forProtocol(lambda: server)) as port:
        client = Client(*to(port, "one"), before="trap '' INT TERM")
        await server.asked.addTimeout(PATIENCE, reactor)
        client.signal("INT")
        client.signal("TERM")
        server.transport.write(ONE)  # type: ignore[union-attr]
        assert (await client.ended, client.complaints) == (0, "")


@pytest_twisted.ensureDeferred
async def test_input_is_read_on_when_what_was_read_is_answered(tmp_path: Path) -> None:
    line = b"x" * 15 + b"\n"
    file = tmp_path / "input"
    file.write_bytes(line * 2**14)  # 256 kB
    server = saying(b'{"unique_words":[],"word_count":1,"length":15,"bytes":15}\n' * 2**12)  # for 64 kB of them
    async with listening(server) as port:
        descriptor = os.open(file, os.O_RDONLY)
        client = Client("--timeout", "0.5", *to(port), stdin=descriptor)
        assert await client.ended == 3
        # The offset in a file is one for all who have it open, the client among them.
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 2**17
        os.close(descriptor)


async def fill(stdout: int) -> list[tuple[int, str]]:
    """
    Return the statuses and the complaints of two clients that print two replies to ``stdout``, and close it.

    A third reply stays due, so that the two are not the end of it.
    """
    async with listening(saying(ONE + ONE)) as port:
        clients = Client(*to(port, "one\none\none"), stdout=stdout), Client(*to(port), stdout=stdout)
        os.close(stdout)
        clients[1].type(b"one\none\none\n")
        return [(await client.ended, client.complaints) for client in clients]


@pytest_twisted.ensureDeferred
async def test_output_that_nobody_reads_ends_the_client_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert await fill(writer) == [(141, "")] * 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's own device")
@pytest_twisted.ensureDeferred
async def test_output_that_cannot_be_written_ends_the_client_with_the_reason() -> None:
    complaint = "wordecho: cannot write to standard output: No space left on device.\n"
    assert await fill(os.open("/dev/full", os.O_WRONLY)) == [(74, complaint)] * 2


@pytest_twisted.ensureDeferred
async def test_input_or_output_that_is_closed_ends_the_client_with_the_reason() -> None:
    async with listening(real_server()) as port:
        for client, closed in (
            (Client(*to(port), stdin=None), "input"),
            (Client(*to(port, "one"), stdout=None), "output"),
        ):
            assert await client.ended == 74
            assert client.complaints == f"wordecho: standard {closed} is closed.\n"


@pytest_twisted.ensureDeferred
async def test_input_that_cannot_be_read_ends_the_client_with_the_reason() -> None:
    unreadable = os.open(os.devnull, os.O_WRONLY)
    async with listening(real_server()) as port:
        client = Client(*to(port), stdin=unreadable)
        os.close(unreadable)
        assert await client.ended == 74
    assert client.complaints == "wordecho: cannot read standard input: Bad file descriptor.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's own device")
@pytest_twisted.ensureDeferred
async def test_help_that_cannot_be_written_or_that_nobody_reads_ends_as_replies_do() -> None:
    reader, unread = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    for output, ended in (
        (unread, (141, "")),
        (full, (74, "wordecho: cannot write to standard output: No space left on device.\n")),
    ):
        client = Client("--help", stdout=output)
        os.close(output)
        assert (await client.ended, client.complaints) == ended


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's own device")
@pytest_twisted.ensureDeferred
async def test_complaints_that_cannot_be_written_change_no_exit_status() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with (
        listening(saying(python_engine.answer(b"\xff") + b"\n")) as refusing,
        listening(saying(b"what?\n")) as another,
    ):
        refused = Client("--port", str(refusing), "127.0.0.1", "one", stderr=full)
        not_wordecho = Client(*to(another, "one"), stderr=full)
        wrong_usage = Client("--colour", stderr=full)
        os.close(full)
        assert [await client.ended for client in (refused, not_wordecho, wrong_usage)] == [1, 4, 2]


@pytest_twisted.ensureDeferred
async def test_where_standard_error_is_closed_no_complaint_takes_the_place_of_a_reply() -> None:
    async with listening(saying(b"", hangs_up=True)) as port:
        client = Client(*to(port, "one"), stderr=None)
        assert (await client.ended, client.printed.pending) == (3, [])
