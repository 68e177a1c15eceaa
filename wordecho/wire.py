"""
The wire contract: a message's bytes in, its reply's bytes out, and back again for a client. No input or output here.

``docs/protocol.rst`` specifies what this module does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from wordecho.analysis import Analysis, Count, analyze, analyze_lines

DEFAULT_PORT = 65432
DEFAULT_MAX_LENGTH = 65536

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


def answer(
    message: bytes, max_length: int = DEFAULT_MAX_LENGTH, ignore_case: bool = False, *, terminated: bool = True
) -> bytes:
    """
    Return the reply to ``message``, both without a line ending.

    :param max_length: how many bytes a message may have
    :param ignore_case: whether words that differ in nothing but case are one unique word
    :param terminated: whether the message had a line ending
    """
    if len(message) > max_length:
        return encode(too_long(max_length, terminated=terminated))
    try:
        text = message.decode()
    except UnicodeDecodeError as error:
        return encode(not_utf_8(error.start, terminated=terminated))
    analysis = analyze(text, ignore_case)
    if not terminated:
        return encode(Reply(**msgspec.structs.asdict(analysis), terminated=False))
    return encode(analysis)


def answer_lines(lines: bytes, ignore_case: bool = False) -> bytes:
    """
    Return the replies to ``lines``, each with the ending that its message has.

    :param lines: whole lines, none of which is too long
    :param ignore_case: whether words that differ in nothing but case are one unique word
    """
    try:
        text = lines.decode()
    except UnicodeDecodeError:
        return _answer_each(lines, ignore_case)
    ending = b"\n"
    if "\r" in text:
        if text.count("\r\n") < text.count("\n"):
            return _answer_each(lines, ignore_case)
        text = text.replace("\r\n", "\n")
        ending = b"\r\n"
    if text.count("\n") == 1:
        return encode(analyze(text[:-1], ignore_case)) + ending
    replies = _encode_lines(analyze_lines(text, ignore_case))
    return replies if ending == b"\n" else replies.replace(b"\n", ending)


def answer_reads(reads: Sequence[bytes], ignore_case: bool = False) -> list[bytes]:
    """
    Return for each of ``reads`` what :func:`answer_lines` returns, for less.

    :param reads: what has come on several connections: whole lines of each, at least one
    """
    replies = answer_lines(b"".join(reads), ignore_case).splitlines(keepends=True)
    if len(replies) == len(reads):
        return replies
    left = iter(replies)
    return [b"".join(islice(left, read.count(b"\n"))) for read in reads]


def _answer_each(lines: bytes, ignore_case: bool) -> bytes:
    """Answer lines of which some are not UTF-8, or not all have the same ending."""
    replies = []
    for line in lines.split(b"\n")[:-1]:
        ending = b"\r\n" if line.endswith(b"\r") else b"\n"
        message = line.removesuffix(b"\r")
        replies.append(answer(message, len(message), ignore_case) + ending)
    return b"".join(replies)


_encode_lines = msgspec.json.Encoder().encode_lines
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
