"""How the command prints and complains, and the exit status that goes with each complaint."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

from twisted.internet.defer import Deferred
from twisted.python import usage

from wordecho.wire import Refusal
from wordecho.wire.questions import Answer, ClientError, NotWordEchoError

# Exit statuses
ALL_ANSWERED = 0
SOME_REFUSED = 1
WRONG_USAGE = 2
SERVER_GONE = 3
NOT_WORDECHO = 4
INPUT_OR_OUTPUT_FAILED = 74  # EX_IOERR of sysexits.h
BROKEN_PIPE = 141  # as a shell reports a command that SIGPIPE ended


class Printer:
    """
    Prints what comes for messages.

    :ivar exit_status: that of the command, if it ended now
    :ivar lost: fires when the output cannot be written; nothing is printed any more
    """

    def __init__(self, output: IO[bytes], *, as_json: bool) -> None:
        self.exit_status = ALL_ANSWERED
        self.lost: Deferred[None] = Deferred()
        self._output = output
        self._as_json = as_json

    def show(self, answer: Answer, number: int) -> None:
        """Print the ``answer`` to the message of this ``number``, or complain of it."""
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
            self._print(f"{counts}\n{printable(' '.join(reply.unique_words))}".encode())

    def _print(self, line: bytes) -> None:
        if self.lost.called:
            return
        try:
            self._output.write(line + b"\n")
            self._output.flush()
        except OSError as error:
            self.exit_status = lose_output(self._output, error)
            self.lost.callback(None)


def lose_output(output: IO[Any], error: OSError) -> int:
    """Say what is wrong with standard output, unless its reader just went away; return the exit status for it."""
    write_off(output)
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    complain(f"cannot write to standard output: {error.strerror}.")
    return INPUT_OR_OUTPUT_FAILED


def complain(sentence: str) -> None:
    if sys.stderr is not None:  # where it is None, print() writes to standard output
        try:
            print(f"wordecho: {printable(sentence)}", file=sys.stderr)
        except OSError:
            write_off(sys.stderr)


def write_off(output: IO[Any]) -> None:
    """Have what Python still holds for ``output`` vanish; it would fail once more when the process ends."""
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), output.fileno())


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
