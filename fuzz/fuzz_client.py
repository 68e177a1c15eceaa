"""
Coverage-guided fuzzing of the client: any octets from a server leave it in a state that its user can tell.

From the project's folder, with the ``fuzz`` extra installed::

    python -m fuzz.fuzz_client -max_len=4096 -max_total_time=60 [CORPUS_FOLDER]

The options are those of ``fuzz_server.py``.
"""

from __future__ import annotations

import sys
from enum import Enum, auto, unique
from typing import Any

import atheris

with atheris.instrument_imports(include=["wordecho"]):
    from wordecho import wire
    from wordecho.client import Answer, ClientError, WordEchoClientFactory
    from wordecho.wire import python_engine

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

TIMEOUT = 10
MESSAGES = [b"one", b"", b"one two one", "caf\u00e9".encode(), b"\xff", b"x" * 300]

# Besides any octets: what a server says that is right, or nearly so.
LINES = [
    *(python_engine.answer(message) + b"\r\n" for message in MESSAGES),
    wire.encode(wire.too_long(100)) + b"\n",
    wire.encode(wire.idle_timeout(300)) + b"\n",
    wire.encode(wire.too_many_connections(1)) + b"\n",
    b'{"unique_words":[],"word_count":0,"length":0,"bytes":-1}\n',
    b'{"error":"no-such-code","detail":""}\n',
    b"220 mail.example.org ESMTP\r\n",
    b"{}\n",
    b"[" * 200,
    b" " * 9000,  # two of these are more than most replies may have
]


@unique
class Step(Enum):
    """What may happen next."""

    ASK = auto()
    SEND = auto()
    SEND_LINE = auto()
    ADVANCE = auto()
    CLOSE = auto()


def fuzz_client(data: bytes) -> None:
    """Be the server that ``data`` says, and check where it leaves the client."""
    said = atheris.FuzzedDataProvider(data)
    clock = Clock()
    transport = StringTransport()
    client = WordEchoClientFactory(clock, timeout=TIMEOUT).buildProtocol(None)
    client.makeConnection(transport)
    asked: list[tuple[bytes, list[Any]]] = []  # the messages, and what came for each
    lost = outcome(client.lost)
    while said.remaining_bytes() and not transport.disconnected:
        match said.PickValueInList(list(Step)):
            case Step.ASK:
                message = said.PickValueInList(MESSAGES)
                asked.append((message, outcome(client.ask(message))))
            case Step.SEND:
                client.dataReceived(said.ConsumeBytes(said.ConsumeIntInRange(1, 500)))
            case Step.SEND_LINE:
                client.dataReceived(said.PickValueInList(LINES))
            case Step.ADVANCE:
                clock.advance(said.ConsumeIntInRange(1, TIMEOUT))
            case Step.CLOSE:
                client.close()
    assert transport.value().count(b"\n") <= len(asked)
    check_answers(asked)
    client.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == [], "a timer is left"
    assert len(lost) == 1 and (lost[0] is None or isinstance(lost[0], ClientError)), f"lost with {lost}"
    assert all(len(came) == 1 for _, came in asked), "a message is left without an answer"
    check_answers(asked)


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Return a list in which what ``deferred`` fires with will stand, its exception where it fails."""
    came: list[Any] = []
    deferred.addCallbacks(came.append, lambda failure: came.append(failure.value))
    return came


def check_answers(asked: list[tuple[bytes, list[Any]]]) -> None:
    """Check that each answer suits its message, and that none came out of order or after a failure."""
    outcomes = [came[0] if came else None for _, came in asked]
    kinds = [isinstance(came, Answer) for came in outcomes]
    assert kinds == sorted(kinds, reverse=True), f"answered out of order: {outcomes}"
    for message, came in zip([message for message, _ in asked], outcomes, strict=True):
        if isinstance(came, Answer):
            assert wire.decode(came.line) == came.reply
            assert isinstance(came.reply, wire.Refusal) or came.reply.bytes == len(message)
        else:
            assert came is None or isinstance(came, ClientError), f"failed with {came!r}"


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_client)
    atheris.Fuzz()
