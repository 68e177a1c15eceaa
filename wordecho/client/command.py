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
    ALL_ANSWERED,
    BROKEN_PIPE,
    INPUT_OR_OUTPUT_FAILED,
    SOME_REFUSED,
    complain,
    complain_of,
    complain_of_usage,
    count,
    lose_output,
    printable,
)
from wordecho.wire import Refusal
from wordecho.wire.framing import Framing, split_lines
from wordecho.wire.questions import Answer, ClientError


class Conversation:
    """Sends messages and prints what comes for them."""

    def __init__(
        self, client: WordEchoClientProtocol | WordEchoDatagramClient, output: IO[bytes], *, as_json: bool
    ) -> None:
        self.exit_status = ALL_ANSWERED
        self._client = client
        self._output = output
        self._as_json = as_json
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
        self._unanswered.append(answer.addCallbacks(self._show, lambda _: None, callbackArgs=(self._sent,)))

    def _show(self, answer: Answer, number: int) -> None:
        reply = answer.reply
        if isinstance(reply, Refusal):
            self.exit_status = self.exit_status or SOME_REFUSED
        if self._as_json:
            self._print(answer.line)
        elif isinstance(reply, Refusal):
            complain(f"message {number} was refused ({reply.error}): {reply.detail}")
        else:
            counts = f"{count(reply.word_count, 'word')}, {len(reply.unique_words)} unique, "
            counts += f"{count(reply.length, 'character')}, {count(reply.bytes, 'byte')}"
            self._print(counts.encode())
            self._print(printable(" ".join(reply.unique_words)).encode())

    @property
    def has_lost_output(self) -> bool:
        return self.exit_status in (BROKEN_PIPE, INPUT_OR_OUTPUT_FAILED)

    def _print(self, line: bytes) -> None:
        if self.has_lost_output:
            return
        try:
            self._output.write(line + b"\n")
            self._output.flush()
        except OSError as error:
            self.exit_status = lose_output(error)
            self._client.close()


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
        sys.exit(lose_output(error))
    if config.message is None and sys.stdin is None:
        complain("standard input is closed.")
        sys.exit(INPUT_OR_OUTPUT_FAILED)

    async def run(reactor: Any) -> None:
        # These end the client at once and in silence, as they end any command. Twisted would take them for its own.
        for number in signal.SIGINT, signal.SIGTERM:
            reactor.callWhenRunning(signal.signal, number, signal.SIG_DFL)
        exit_status = await converse(reactor, config)
        # Not by way of the reactor: it would wait for a name that is still being looked up.
        sys.stdout.flush()
        os._exit(exit_status)

    react(run)


async def converse(reactor: Any, config: Options) -> int:
    """Connect, send all messages and print what comes for them; return the exit status."""
    try:
        client = await config.connect(reactor)
    except usage.UsageError as error:
        return complain_of_usage(error)
    except ClientError as error:
        return complain_of(error)

    conversation = Conversation(client, sys.stdout.buffer, as_json=bool(config["json"]))
    if config.message is None:
        finished = feed_standard_input(reactor, conversation)
    else:
        finished = conversation.send(config.message.split(b"\n"))
    either: list[Deferred[Any]] = [client.lost, finished]
    _, problem = await race(either)
    if isinstance(problem, ClientError) and not conversation.has_lost_output:
        return complain_of(problem)
    client.close()
    if isinstance(problem, OSError):
        complain(f"cannot read standard input: {problem.strerror}.")
        return INPUT_OR_OUTPUT_FAILED
    return conversation.exit_status


def feed_standard_input(reactor: IReactorFromThreads, conversation: Conversation) -> Deferred[OSError | None]:
    """
    Send what comes on standard input; fires when all of it is answered, or with the error that ended it.

    A thread reads it, because only a blocking read works for whatever standard input may be (the reactor cannot wait
    for a regular file, and making a terminal non-blocking makes it so for the user's shell too). The thread waits for
    the replies to each piece before it reads the next, so that no more than that is ever held.
    """
    finished: Deferred[OSError | None] = Deferred()

    def read() -> None:
        problem = None
        try:
            while data := os.read(0, 2**16):
                blockingCallFromThread(reactor, conversation.take, data)
            blockingCallFromThread(reactor, conversation.end)
        except OSError as error:
            problem = error
        reactor.callFromThread(finished.callback, problem)

    Thread(target=read, daemon=True).start()
    return finished
