"""
Coverage-guided fuzzing of the server: a connection in memory, to which the fuzzer does what it likes.

From the project's folder, with the ``fuzz`` extra installed::

    python -m fuzz.fuzz_server -max_len=4096 -max_total_time=60 [CORPUS_FOLDER]

The options are libFuzzer's own; ``-runs=100000`` bounds the inputs instead of the seconds. An input that breaks an
invariant is written to a file ``crash-...`` and can be given in place of the folder.
"""

from __future__ import annotations

import sys
from enum import Enum, auto, unique

import atheris

with atheris.instrument_imports(include=["wordecho"]):
    from wordecho import wire
    from wordecho.server import WordEchoFactory
    from wordecho.server.drain import Drain

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.furniture.contract import Contract
from tests.furniture.transports import Transport

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


def fuzz_server(data: bytes) -> None:
    """Do to a server what ``data`` says, and check what it replied."""
    said = atheris.FuzzedDataProvider(data)
    max_length = said.ConsumeIntInRange(1, 64)
    transport = Transport(room=said.ConsumeIntInRange(0, 2000))
    ignore_case = said.ConsumeBool()
    contract = Contract(max_length, ignore_case=ignore_case)
    clock = Clock()
    factory = WordEchoFactory(
        clock,
        max_length=max_length,
        idle_timeout=IDLE_TIMEOUT,
        quiet_period=QUIET_PERIOD,
        ignore_case=ignore_case,
    )
    protocol = factory.buildProtocol(transport.getPeer())
    protocol.makeConnection(transport)
    received = bytearray()
    is_draining = False
    while said.remaining_bytes() and not transport.is_ending:
        match said.PickValueInList(list(Step)):
            case Step.SEND:
                piece = said.ConsumeBytes(said.ConsumeIntInRange(1, 200))
                contract.hear(piece)
                protocol.dataReceived(piece)
            case Step.SEND_MUCH:
                piece = said.ConsumeBytes(said.ConsumeIntInRange(1, 16)) * said.ConsumeIntInRange(1, 1000)
                contract.hear(piece)
                protocol.dataReceived(piece)
            case Step.PAUSE:
                transport.ask_for_a_pause()
            case Step.RESUME:
                received += transport.flush()
            case Step.ADVANCE:
                was_paused = transport.has_paused_its_producer
                clock.advance(said.PickValueInList([QUIET_PERIOD, IDLE_TIMEOUT]))
                is_sent_away = transport.is_ending and not is_draining
                if not was_paused and (is_sent_away or not contract.is_line_client):
                    contract.end_message()
            case Step.DRAIN:
                if not is_draining:
                    is_draining = True
                    Drain(factory, 2 * IDLE_TIMEOUT).run([])
        if is_draining and transport.is_ending and not contract.is_line_client:
            contract.end_message()
    if not transport.is_ending:
        contract.end_message()
        protocol.readConnectionLost()
    while transport.has_paused_its_producer and not transport.disconnected:
        received += transport.flush()
    received += transport.value()
    check(bytes(received), bytes(contract.owed), is_cut_off=transport.disconnected)
    protocol.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == [], "a timer is left"
    assert not factory.guests, "the connection is not forgotten"


def check(received: bytes, owed: bytes, *, is_cut_off: bool) -> None:
    """Check that ``received`` is what is ``owed``, and at most a goodbye after it."""
    if len(received) < len(owed):
        assert is_cut_off and owed.startswith(received), f"{received!r} came and {owed!r} was owed"
        return
    assert received.startswith(owed), f"{received!r} came and {owed!r} was owed"
    for line in received[len(owed) :].splitlines(keepends=True):
        assert line.endswith(b"\n"), f"not a line: {line!r}"
        goodbye = wire.decode(line.rstrip())
        assert isinstance(goodbye, wire.Refusal) and goodbye.error == wire.IDLE_TIMEOUT, f"{goodbye} came unasked"


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_server)
    atheris.Fuzz()
