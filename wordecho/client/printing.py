"""How the command prints and complains, and the exit status that goes with each complaint."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from twisted.python import usage

from wordecho.wire.questions import ClientError, NotWordEchoError

# Exit statuses
ALL_ANSWERED = 0
SOME_REFUSED = 1
WRONG_USAGE = 2
SERVER_GONE = 3
NOT_WORDECHO = 4
INPUT_OR_OUTPUT_FAILED = 74  # EX_IOERR of sysexits.h
BROKEN_PIPE = 141  # as a shell reports a command that SIGPIPE ended


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
