"""Which reply is whose: the questions that wait for their replies, in order. No input or output, and no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from wordecho.wire.replies import IDLE_TIMEOUT, TOO_MANY_CONNECTIONS, Refusal, Reply, decode

Asker = TypeVar("Asker")

MOST_FOR_AN_OCTET = 32
"""
Octets of a reply for each one of its message.

At the worst a message is words of one octet, each of which JSON may write with six, two quotation marks, a comma, a
space, and as much again for its count. The rest is for what the contract may say one day of each word.
"""

ROOM = 16_384
"""Octets of a reply beside these: the names of its members, the sentence of a refusal, and members not known yet."""

PROGRESS = 1024
"""Octets of a reply that are enough of an answer for once, however long the whole of it takes."""

_CLOSED = "the connection is closed."


class ClientError(Exception):
    """The connection is of no more use; the message is a sentence that says why."""


class ServerGoneError(ClientError):
    """The server cannot be reached, fell silent, sent this client away or went away."""


class NotWordEchoError(ClientError):
    """What answered is not a wordecho server."""

    def __init__(self, why: str) -> None:
        super().__init__(f"what answered is not a wordecho server: {why}.")


def fell_silent(seconds: float, due: int, heard: int = 0) -> ServerGoneError:
    """Return the error for a server that has said ``heard`` octets in ``seconds`` with so many replies ``due``."""
    replies = "1 reply was" if due == 1 else f"{due} replies were"
    if heard:
        came = f"is too slow: no more than {heard} bytes of a reply came in {seconds}"
    else:
        came = f"fell silent: nothing came for {seconds}"
    return ServerGoneError(f"the server {came} seconds while {replies} due.")


class Answer(Struct, frozen=True):
    """
    What came for a message.

    :ivar reply: what it says
    :ivar line: the line as it came, without its ending
    """

    reply: Reply | Refusal
    line: bytes


class Questions(Generic[Asker]):
    """
    What was asked of a server over one connection and is not answered yet.

    Replies come in the order of their messages, and nothing in them says whose they are. So a question keeps its place
    until its reply has come, whether somebody still waits for it or not.

    An asker may be anything; it is given back with the answer.

    :ivar error: why the connection is of no more use, None while it is
    """

    def __init__(self) -> None:
        self.error: ClientError | None = None
        self._due: deque[tuple[int, Asker]] = deque()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._due)

    def ask(self, message: bytes, asker: Asker) -> None:
        """
        Note that ``asker`` waits for the reply to ``message``.

        :raises ValueError: if there is a line feed in ``message``.
        :raises ClientError: if nothing can be asked any more.
        """
        if b"\n" in message:
            raise ValueError("a message cannot have a line feed in it")
        if self.error is not None:
            raise self.error.with_traceback(None)  # or it would grow with each raise
        if self._is_closed:
            raise ServerGoneError(_CLOSED)
        self._due.append((len(message), asker))

    def answer(self, line: bytes) -> tuple[Asker, Answer]:
        """
        Return the answer that is in a ``line`` of the server's, and who has waited for it longest.

        :param line: without its ending
        :raises ServerGoneError: if it says that the server closes the connection.
        :raises NotWordEchoError: if it is no reply, or none to what was asked.
        """
        self.check_length(len(line))
        try:
            reply = decode(line)
        except ValueError:
            raise NotWordEchoError(f"it sent {line[:40]!r}") from None
        if isinstance(reply, Refusal) and reply.error in (IDLE_TIMEOUT, TOO_MANY_CONNECTIONS):
            raise ServerGoneError(f"the server closes the connection: {reply.detail}")
        if not self._due:
            raise NotWordEchoError(f"it sent {line[:40]!r} when no reply was due")
        length, asker = self._due[0]
        if isinstance(reply, Reply) and reply.bytes != length:
            raise NotWordEchoError(f"it replied to {reply.bytes} bytes when {length} were sent")
        self._due.popleft()
        return asker, Answer(reply, line)

    def check_length(self, length: int) -> None:
        """
        Make sure that the line which is due next may have ``length`` octets, or so many at its beginning.

        :raises NotWordEchoError: if what is asked cannot have a reply as long as that.
        """
        asked = self._due[0][0] if self._due else 0
        most = ROOM + MOST_FOR_AN_OCTET * asked
        if length > most:
            raise NotWordEchoError(f"it sent more than {most} bytes in reply to {asked}")

    @property
    def is_open(self) -> bool:
        """Whether more can be asked."""
        return self.error is None and not self._is_closed

    def close(self) -> None:
        """Take no more questions, because nobody has any."""
        self._is_closed = True

    def give_up(self, error: ClientError) -> None:
        """Take no more questions, because of ``error`` or of the one before it."""
        self.error = self.error or error

    def lose(self, error: ClientError) -> None:
        """Note that the connection is gone; that is an ``error`` unless it was closed, and all answered before."""
        if not self._is_closed:
            self.give_up(error)
        elif self._due:
            self.give_up(ServerGoneError(_CLOSED))

    def abandon(self) -> Iterator[Asker]:
        """Take away the questions that are left, and return who waits for their answers."""
        while self._due:
            yield self._due.popleft()[1]
