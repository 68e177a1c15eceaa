"""The command ``python -m wordecho.client``: messages from its arguments or standard input, the replies printed."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from threading import Thread
from typing import IO, Any, NoReturn

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, race
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import react
from twisted.internet.threads import blockingCallFromThread
from twisted.python import usage
from zope.interface import directlyProvides, providedBy

from wordecho import options
from wordecho.client.connection import (
    DEFAULT_TIMEOUT,
    Answer,
    ClientError,
    NotWordEchoError,
    WordEchoClientProtocol,
    connect,
)
from wordecho.client.datagram import WordEchoDatagramClient, connect_datagrams
from wordecho.wire import DEFAULT_PORT, Refusal
from wordecho.wire.framing import Framing, split_lines

# Exit statuses
ALL_ANSWERED = 0
SOME_REFUSED = 1
WRONG_USAGE = 2
SERVER_GONE = 3
NOT_WORDECHO = 4
INPUT_OR_OUTPUT_FAILED = 74  # EX_IOERR of sysexits.h
BROKEN_PIPE = 141  # as a shell reports a command that SIGPIPE ended


class Options(options.Options):
    """The command line of ``python -m wordecho.client``."""

    synopsis = "Usage: python -m wordecho.client [options] HOST [MESSAGE ...]"
    longdesc = (
        "Sends the message to the wordecho server on HOST and prints its word counts and its unique words. HOST is a "
        "name, an address or a Twisted client endpoint such as unix:/run/wordecho.sock. The words of MESSAGE are "
        "joined by one space, a line feed in them begins the next message; without a MESSAGE, or where it is -, each "
        "line of standard input is a message. "
        "Exit status: 0 all answered, 1 at least one message got an error reply, 2 wrong usage, 3 the server cannot "
        "be reached, fell silent or went away, 4 what answered is not a wordecho server, 74 standard input or output "
        "failed."
    )
    optParameters = [  # noqa: RUF012 (Twisted's own way to declare them)
        ["port", "p", None, f"TCP or UDP port [default: {DEFAULT_PORT}]", options.whole_number("port", 1, 65535)],
        [
            "timeout",
            "t",
            DEFAULT_TIMEOUT,
            "seconds for connecting, and for each silence while replies are due",
            options.seconds("timeout", zero=False),
        ],
        ["ca", None, None, "file of the authorities that vouch for the server, in PEM [default: this machine's]"],
        ["cert", None, None, "file of the client's own certificate, in PEM, where the server asks for one"],
        ["key", None, None, "file of its private key, in PEM [default: the file of --cert]"],
    ]
    optFlags = [  # noqa: RUF012
        ["ipv4", "4", "go by IPv4 only"],
        ["ipv6", "6", "go by IPv6 only"],
        ["udp", None, "send each message as a datagram"],
        ["tls", None, "speak TLS, and check the server's certificate"],
        ["json", None, "print each reply line as it came, and nothing else"],
    ]

    host: str
    message: bytes | None

    def parseArgs(self, host: str = "", *words: str) -> None:
        if not host:
            raise usage.UsageError("HOST is missing; name the machine that the server runs on, such as 127.0.0.1.")
        self.host = host
        # An argument that is not UTF-8 goes out as the bytes that it came as; the server says what is wrong with it.
        self.message = None if words in ((), ("-",)) else os.fsencode(" ".join(words))

    def postOptions(self) -> None:
        for one, other in (("ipv4", "ipv6"), ("udp", "tls")):
            if self[one] and self[other]:
                raise usage.UsageError(f"--{one} and --{other} do not go together.")
        for option in ("ca", "cert", "key"):
            if self[option] is not None and not self["tls"]:
                raise usage.UsageError(f"--{option} {self[option]} goes with --tls.")
        if self["key"] is not None and self["cert"] is None:
            raise usage.UsageError(f"--key {self['key']} needs --cert, the certificate that it is for.")
        if self._is_name_or_address:
            if (self["ipv4"] and isIPv6Address(self.host)) or (self["ipv6"] and isIPAddress(self.host)):
                option, family = ("ipv4", "IPv4") if self["ipv4"] else ("ipv6", "IPv6")
                raise usage.UsageError(f"--{option} goes with a name or an {family} address, not {self.host!r}.")
        else:
            for option in ("ipv4", "ipv6", "udp", "tls"):
                if self[option]:
                    raise usage.UsageError(
                        f"--{option} goes with a name or an address; {self.host!r} says itself how to get there."
                    )

    @property
    def _is_name_or_address(self) -> bool:
        return ":" not in self.host or (isIPv6Address(self.host) and self.host.isascii())  # a zone may be no name

    async def connect(self, reactor: Any) -> WordEchoClientProtocol | WordEchoDatagramClient:
        """
        Connect to the server.

        :raises usage.UsageError: if HOST is a description that does not parse, or a certificate is of no use.
        :raises ClientError: if the server cannot be reached.
        """
        if self["udp"]:
            return await connect_datagrams(
                self._in_one_family(reactor), self.host, self["port"] or DEFAULT_PORT, timeout=self["timeout"]
            )
        return await connect(reactor, self.endpoint(reactor), timeout=self["timeout"])

    def endpoint(self, reactor: Any) -> Any:
        """
        Return where the server is.

        :raises usage.UsageError: if HOST is a description that does not parse, or a certificate is of no use.
        """
        if self._is_name_or_address:
            reactor = self._in_one_family(reactor)
            endpoint = HostnameEndpoint(reactor, self.host, self["port"] or DEFAULT_PORT, timeout=self["timeout"])
            return wrapClientTLS(self._tls_options(), endpoint) if self["tls"] else endpoint
        if self["port"] is not None:
            raise usage.UsageError(f"--port goes with a name or an address; {self.host!r} has a port of its own.")
        try:
            return clientFromString(reactor, self.host)
        except Exception as error:  # whatever a description's own parser raises
            raise usage.UsageError(
                f"HOST is a name, an address or a client endpoint such as unix:/run/wordecho.sock, not {self.host!r} "
                f"({error}); a port goes into --port."
            ) from error

    def _in_one_family(self, reactor: Any) -> Any:
        if self["ipv4"]:
            return OneFamilyReactor(reactor, IPv4Address)
        return OneFamilyReactor(reactor, IPv6Address) if self["ipv6"] else reactor

    def _tls_options(self) -> Any:
        try:
            from wordecho.sockets.tls import client_options
        except ImportError as error:
            raise usage.UsageError(options.TLS_IS_MISSING) from error
        try:
            return client_options(self.host, ca=self["ca"], cert=self["cert"], key=self["key"])
        except ValueError as error:
            given = [f"--{option} {self[option]}" for option in ("ca", "cert", "key") if self[option] is not None]
            raise usage.UsageError(f"{', '.join(given)}: {error}") from error


class OneFamilyReactor:
    """A reactor for which names have addresses of one family only."""

    def __init__(self, reactor: Any, family: type[IPv4Address | IPv6Address]) -> None:
        self._reactor = reactor
        self._family = family
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    @property
    def nameResolver(self) -> OneFamilyReactor:
        return self

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: object = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        return self._reactor.nameResolver.resolveHostName(
            resolutionReceiver, hostName, portNumber, [self._family], transportSemantics
        )


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


def lose_output(error: OSError) -> int:
    """Say what is wrong with standard output, unless its reader just went away; return the exit status for it."""
    # What Python still holds for it must not fail again when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    complain(f"cannot write to standard output: {error.strerror}.")
    return INPUT_OR_OUTPUT_FAILED


def complain(sentence: str) -> None:
    if sys.stderr is not None:  # where it is None, print() writes to standard output
        with suppress(OSError):
            print(f"wordecho: {printable(sentence)}", file=sys.stderr)


def complain_of_usage(error: usage.UsageError) -> int:
    complain(f"{str(error).rstrip('.')}. Try --help.")
    return WRONG_USAGE


def complain_of(error: ClientError) -> int:
    complain(str(error))
    return NOT_WORDECHO if isinstance(error, NotWordEchoError) else SERVER_GONE


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str) -> str:
    """
    Return ``text`` with all that could act on a terminal written as JSON writes it.

    The two joiners, invisible as they are, stay: words of Persian and of Indic scripts have them.
    """
    return "".join(
        character if character.isprintable() or character in "\u200c\u200d" else json.dumps(character)[1:-1]
        for character in text
    )
