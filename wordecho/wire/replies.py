"""
What a reply can say, and how it is written and read. No input or output here.

``docs/protocol.rst`` specifies it. What a message is answered is up to an engine, see :mod:`wordecho.wire.engine`.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from wordecho.text.analysis import Analysis, Count

TOO_LONG = "too-long"
NOT_UTF_8 = "not-utf-8"
IDLE_TIMEOUT = "idle-timeout"
TOO_MANY_CONNECTIONS = "too-many-connections"
REPLY_TOO_LONG = "reply-too-long"


class Reply(Analysis, frozen=True, omit_defaults=True):
    """
    The reply to a message: its analysis.

    :ivar terminated: whether the message had a line ending
    """

    terminated: bool = True


class Refusal(Struct, frozen=True, omit_defaults=True):
    """
    The reply that says why there is no analysis.

    :ivar error: the code, for programs
    :ivar detail: a sentence that says what to do, for people
    :ivar limit: the bound that was passed: bytes, seconds or connections, by ``error``
    :ivar offset: where the first bad byte stands in the message, counted from 0
    :ivar terminated: whether the message had a line ending
    """

    error: str
    detail: str
    limit: int | float | None = None
    offset: Count | None = None
    terminated: bool = True


def too_long(max_length: int, *, terminated: bool = True) -> Refusal:
    detail = f"A message may have {max_length} bytes; send this one in shorter lines."
    return Refusal(TOO_LONG, detail, limit=max_length, terminated=terminated)


def not_utf_8(offset: int, *, terminated: bool = True) -> Refusal:
    detail = f"The byte at offset {offset} is not UTF-8; send the message encoded in UTF-8."
    return Refusal(NOT_UTF_8, detail, offset=offset, terminated=terminated)


def idle_timeout(seconds: float) -> Refusal:
    return Refusal(IDLE_TIMEOUT, f"Nothing came for {seconds} seconds; connect again to go on.", limit=seconds)


def too_many_connections(limit: int, *, of_one_host: bool = False) -> Refusal:
    whose = "Your address" if of_one_host else "The server"
    detail = f"{whose} has {limit} connections, as many as it may have; close one or try again later."
    return Refusal(TOO_MANY_CONNECTIONS, detail, limit=limit)


def reply_too_long(limit: int) -> Refusal:
    detail = f"The reply has more than the {limit} bytes that a datagram carries; send less in one, or use a stream."
    return Refusal(REPLY_TOO_LONG, detail, limit=limit)


encode = msgspec.json.Encoder().encode
"""Encode an :class:`Analysis`, a :class:`Reply` or a :class:`Refusal`; a :class:`Reply` that is terminated and an
:class:`Analysis` look the same on the wire."""

_decode_reply = msgspec.json.Decoder(Reply).decode
_decode_refusal = msgspec.json.Decoder(Refusal).decode


def decode(line: bytes) -> Reply | Refusal:
    """
    Return what a server's line, without its ending, says.

    Members that are not known are ignored, as the contract asks of a receiver.

    :raises ValueError: if the line is no reply.
    """
    try:
        try:
            return _decode_refusal(line)
        except msgspec.ValidationError:
            return _decode_reply(line)
    except RecursionError:
        raise ValueError("nested too deep to be a reply") from None
