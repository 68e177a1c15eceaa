"""
Coverage-guided fuzzing of the server: a connection on a ``StringTransport``, to which the fuzzer does what it likes.

From the project's folder, with the ``fuzz`` extra installed::

    python fuzz/fuzz_server.py -max_len=4096 -max_total_time=60 [CORPUS_FOLDER]

The options are libFuzzer's own; ``-runs=100000`` bounds the inputs instead of the seconds. An input that breaks an
invariant is written to a file ``crash-...`` and can be given in place of the folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum, auto, unique
from typing import NamedTuple

import atheris

with atheris.instrument_imports(include=["wordecho"]):
    from wordecho import wire
    from wordecho.server.connection import WordEchoFactory

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

IDLE_TIMEOUT = 60
QUIET_PERIOD = 2


@unique
class Step(Enum):
    """What may happen next."""

    SEND = auto()
    SEND_MUCH = auto()
    PAUSE = auto()
    RESUME = auto()
    ADVANCE = auto()
    DRAIN = auto()


class Message(NamedTuple):
    """
    What the server has to reply to.

    :ivar line: its octets, without a line feed
    :ivar is_terminated: whether a line feed ended it
    """

    line: bytes
    is_terminated: bool


class Stream:
    """The octets that went to the server, and what ended the messages in them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.rest = b""

    @property
    def has_line_feed(self) -> bool:
        return any(message.is_terminated for message in self.messages)

    def append(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.messages += [Message(line, True) for line in lines]

    def end_message(self) -> None:
        if self.rest:
            self.messages.append(Message(self.rest, False))
            self.rest = b""


class FullTransport(StringTransport):
    """
    A transport that asks its producer for a pause from inside write, as Twisted's own do.

    :param room: octets that it takes before it asks
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self.is_full = False

    @property
    def is_paused(self) -> bool:
        return self.is_full and self.producer is not None

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > self._room:
            self.ask_for_a_pause()

    def ask_for_a_pause(self) -> None:
        if self.producer is not None:
            self.is_full = True
            self.producer.pauseProducing()

    def flush(self) -> bytes:
        sent: bytes = self.value()
        self.clear()
        if self.producer is not None and self.is_full:
            self.is_full = False
            self.producer.resumeProducing()
        return sent


def fuzz_server(data: bytes) -> None:
    """Do to a server what ``data`` says, and check what it replied."""
    said = atheris.FuzzedDataProvider(data)
    max_length = said.ConsumeIntInRange(1, 64)
    transport = FullTransport(room=said.ConsumeIntInRange(0, 2000))
    clock = Clock()
    factory = WordEchoFactory(
        clock,
        max_length=max_length,
        idle_timeout=IDLE_TIMEOUT,
        quiet_period=QUIET_PERIOD,
        ignore_case=said.ConsumeBool(),
    )
    protocol = factory.buildProtocol(transport.getPeer())
    protocol.makeConnection(transport)
    stream = Stream()
    received = bytearray()
    is_draining = False
    while said.remaining_bytes() and not transport.disconnecting:
        match said.PickValueInList(list(Step)):
            case Step.SEND:
                piece = said.ConsumeBytes(said.ConsumeIntInRange(1, 200))
                stream.append(piece)
                protocol.dataReceived(piece)
            case Step.SEND_MUCH:
                piece = said.ConsumeBytes(said.ConsumeIntInRange(1, 16)) * said.ConsumeIntInRange(1, 1000)
                stream.append(piece)
                protocol.dataReceived(piece)
            case Step.PAUSE:
                transport.ask_for_a_pause()
            case Step.RESUME:
                received += transport.flush()
            case Step.ADVANCE:
                was_paused = transport.is_paused
                clock.advance(said.PickValueInList([QUIET_PERIOD, IDLE_TIMEOUT]))
                if not (was_paused or stream.has_line_feed):
                    stream.end_message()
            case Step.DRAIN:
                is_draining = True
                protocol.drain()
        if is_draining and transport.disconnecting and not stream.has_line_feed:
            stream.end_message()
    if not transport.disconnecting:
        stream.end_message()
        protocol.readConnectionLost()
    while transport.is_paused and not transport.disconnected:
        received += transport.flush()
    received += transport.value()
    check(bytes(received), list(due(stream, max_length, factory)), is_cut_off=transport.disconnected)
    protocol.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == [], "a timer is left"
    assert not factory.connections, "the connection is not forgotten"


def due(stream: Stream, max_length: int, factory: WordEchoFactory) -> Iterator[bytes]:
    """Yield the replies to the messages of ``stream``, with their endings."""
    ending = b"\n"
    for line, is_terminated in stream.messages:
        if is_terminated:
            message = line.removesuffix(b"\r")
            if len(message) > max_length:
                yield wire.encode(wire.too_long(max_length)) + ending
                continue
            ending = b"\n" if message == line else b"\r\n"
            yield factory.answer(message) + ending
        elif len(line.removesuffix(b"\r")) > max_length:  # it was said before the message ended
            yield wire.encode(wire.too_long(max_length)) + ending
        else:
            yield factory.answer(line, terminated=False) + b"\n"
    if len(stream.rest.removesuffix(b"\r")) > max_length:
        yield wire.encode(wire.too_long(max_length)) + ending


def check(received: bytes, replies: list[bytes], *, is_cut_off: bool) -> None:
    """Check that ``received`` is ``replies``, and at most a goodbye after them."""
    lines = received.splitlines(keepends=True)
    for line in lines:
        assert line.endswith(b"\n"), f"not a line: {line!r}"
        wire.decode(line.removesuffix(b"\n").removesuffix(b"\r"))
    rest = lines[len(replies) :]
    assert lines[: len(replies)] == replies[: len(lines)], f"{lines!r} came and {replies!r} was due"
    assert is_cut_off or len(lines) >= len(replies), f"{lines!r} came and {replies!r} was due"
    if rest:
        (goodbye,) = (wire.decode(line.rstrip()) for line in rest)
        assert isinstance(goodbye, wire.Refusal) and goodbye.error == wire.IDLE_TIMEOUT, f"{goodbye} came unasked"


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_server)
    atheris.Fuzz()
