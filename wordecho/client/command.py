"""The command ``python -m wordecho.client``: messages from its arguments or standard input, the replies printed."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread
from typing import IO, Any, NoReturn

from twisted.internet.defer import Deferred, DeferredList, race
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import react
from twisted.internet.threads import blockingCallFromThread
from twisted.python import usage

from wordecho.client.connection import WordEchoClientProtocol
from wordecho.client.datagram import WordEchoDatagramClient
from wordecho.client.options import Options
from wordecho.client.printing import (
    INPUT_OR_OUTPUT_FAILED,
    Printer,
    complain,
    complain_of,
    complain_of_usage,
    lose_output,
)
from wordecho.wire.framing import Framing, split_lines
from wordecho.wire.questions import ClientError

STANDARD_INPUT = 0


class Conversation:
    """Sends messages, and has what comes for them printed."""

    def __init__(self, client: WordEchoClientProtocol | WordEchoDatagramClient, printer: Printer) -> None:
        self._client = client
        self._printer = printer
        self._input = Framing(sys.maxsize)  # the server says what is too long for it
        self._sent = 0
        self._unanswered: list[Deferred[None]] = []

    def send(self, messages: list[bytes]) -> Deferred[Any]:
        """Send ``messages``; fires when they are answered."""
        for message in messages:
            self._send(message)
        return self._last_answers()

    def take(self, data: bytes) -> Deferred[Any]:
        """Send the messages that ``data`` completes; fires when they are answered."""
        lines = self._input.receive(data)
        while lines is not None:
            for message in split_lines(lines)[0]:
                self._send(message)
            lines = self._input.next_lines()
        return self._last_answers()

    def end(self) -> Deferred[Any]:
        """Send what is left; fires when it is answered."""
        message = self._input.take_partial()
        return self.send([message] if message else [])

    def _last_answers(self) -> Deferred[Any]:
        unanswered, self._unanswered = self._unanswered, []
        return DeferredList(unanswered)

    def _send(self, message: bytes) -> None:
        self._sent += 1
        answer = self._client.ask(message)
        # Why an answer fails, the connection's end says once for all of them.
        self._unanswered.append(answer.addCallbacks(self._printer.show, lambda _: None, callbackArgs=(self._sent,)))


def main() -> NoReturn:
    """Run the command; never returns."""
    if sys.stdout is None:
        complain("standard output is closed.")
        sys.exit(INPUT_OR_OUTPUT_FAILED)
    config = Options()
    try:
        try:
            config.parseOptions()
        finally:
            sys.stdout.flush()  # --help and --version have written there
    except usage.UsageError as error:
        sys.exit(complain_of_usage(error))
    except OSError as error:
        sys.exit(lose_output(sys.stdout, error))
    if config.message is None and sys.stdin is None:
        complain("standard input is closed.")
        sys.exit(INPUT_OR_OUTPUT_FAILED)

    async def run(reactor: Any) -> None:
        # These end the client at once and in silence, as they end any command that was not started to ignore them.
        # Twisted would take them for its own.
        for number in signal.SIGINT, signal.SIGTERM:
            is_ignored = signal.getsignal(number) is signal.SIG_IGN
            reactor.callWhenRunning(signal.signal, number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
        exit_status = await converse(reactor, config, sys.stdout.buffer)
        # Not by way of the reactor: it would wait for a name that is still being looked up.
        os._exit(exit_status)

    react(run)


async def converse(reactor: Any, config: Options, output: IO[bytes]) -> int:
    """Connect, send all messages and print what comes for them to ``output``; return the exit status."""
    try:
        client = await config.connect(reactor)
    except usage.UsageError as error:
        return complain_of_usage(error)
    except ClientError as error:
        return complain_of(error)

    printer = Printer(output, as_json=bool(config["json"]))
    conversation = Conversation(client, printer)
    if config.message is None:
        finished = feed(reactor, STANDARD_INPUT, conversation)
    else:
        finished = conversation.send(config.message.split(b"\n"))
    ends: list[Deferred[Any]] = [printer.lost, client.lost, finished]
    _, problem = await race(ends)
    client.close()
    if isinstance(problem, ClientError):
        return complain_of(problem)
    if isinstance(problem, OSError):
        complain(f"cannot read standard input: {problem.strerror}.")
        return INPUT_OR_OUTPUT_FAILED
    return printer.exit_status


def feed(reactor: IReactorFromThreads, descriptor: int, conversation: Conversation) -> Deferred[OSError | None]:
    """
    Send what can be read from ``descriptor``, a message a line.

    Fires when all of it is answered, or with the error that ended it.

    A thread reads it, because only a blocking read works for whatever standard input may be (the reactor cannot wait
    for a regular file, and making a terminal non-blocking makes it so for the user's shell too). The thread waits for
    the replies to each piece before it reads the next, so that no more than that is ever held.
    """
    finished: Deferred[OSError | None] = Deferred()

    def read() -> None:
        problem = None
        try:
            while data := os.read(descriptor, 2**16):
                blockingCallFromThread(reactor, conversation.take, data)
            blockingCallFromThread(reactor, conversation.end)
        except OSError as error:
            problem = error
        reactor.callFromThread(finished.callback, problem)

    Thread(target=read, daemon=True).start()
    return finished
