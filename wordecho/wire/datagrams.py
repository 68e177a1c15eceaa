"""Datagrams: one is a message, one is its reply."""

from __future__ import annotations

from collections.abc import Callable

from wordecho.wire.framing import split_ending
from wordecho.wire.replies import decode, encode, reply_too_long

MAX_DATAGRAM = 65_507
"""Octets that a datagram can carry over IPv4: 65 535 less the headers of IP (RFC 791) and UDP (RFC 768)."""

READ_SIZE = 65_536
"""Octets that are read of a datagram. Twisted's default would cut the longest ones short."""


def reply_to(datagram: bytes, answer: Callable[[bytes], bytes]) -> bytes:
    """
    Return the datagram that is the reply to ``datagram``.

    :param answer: makes the reply to a message, as :func:`wordecho.wire.python_engine.answer`
    """
    message, ending = split_ending(datagram)
    ending = ending or b"\n"
    reply = answer(message) + ending
    return reply if len(reply) <= MAX_DATAGRAM else encode(reply_too_long(MAX_DATAGRAM)) + ending


def is_reply(datagram: bytes) -> bool:
    """Whether ``datagram`` is what a server of this contract could have replied."""
    if not datagram.startswith((b'{"unique_words":[', b'{"error":"')):
        return False
    try:
        decode(datagram)
    except ValueError:
        return False
    return True
