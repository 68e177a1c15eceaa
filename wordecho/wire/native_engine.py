"""
The engine in C: what :mod:`wordecho.wire.python_engine` answers, for a fraction of what that costs.

``wordecho/native/replies.c`` says which messages the kernel leaves to Python.

:raises ImportError: where the kernel was not built.
"""

from __future__ import annotations

import secrets
import sys

from wordecho import _native
from wordecho.wire import python_engine

NAME = "native"

# Who knew it could send words that all fall on the same place in the kernel's table.
_SEED = secrets.randbits(64)


def answer(
    message: bytes,
    max_length: int = sys.maxsize,
    ignore_case: bool = False,
    counts: bool = False,
    *,
    terminated: bool = True,
) -> bytes:
    """Return the reply to ``message``; see :func:`wordecho.wire.python_engine.answer`."""
    reply = _native.answer(message, ignore_case, counts, _SEED) if len(message) <= max_length else None
    if reply is None:
        return python_engine.answer(message, max_length, ignore_case, counts, terminated=terminated)
    return reply if terminated else reply[:-1] + b',"terminated":false}'


def answer_lines(lines: bytes, ignore_case: bool = False, counts: bool = False) -> bytes:
    """Return the replies to ``lines``; see :func:`wordecho.wire.python_engine.answer_lines`."""
    answered = _native.answer_lines(lines, ignore_case, counts, _SEED)
    if isinstance(answered, bytes):
        return answered
    return b"".join([replies + python_engine.answer_lines(run, ignore_case, counts) for replies, run in answered])
