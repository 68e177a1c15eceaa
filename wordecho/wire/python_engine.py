"""
The engine in Python, which is the rule: what it answers, the native kernel answers too.

It needs no compiler, and has all messages to itself that the native kernel leaves to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from msgspec.structs import asdict

from wordecho.text.analysis import analyze, analyze_texts
from wordecho.wire.framing import split_lines
from wordecho.wire.replies import Refusal, Reply, encode, not_utf_8, too_long

NAME = "Python"


def answer(
    message: bytes,
    max_length: int = sys.maxsize,
    ignore_case: bool = False,
    counts: bool = False,
    *,
    terminated: bool = True,
) -> bytes:
    """
    Return the reply to ``message``, both without a line ending.

    :param max_length: how many octets a message may have; as many as it has, where nothing is said
    :param ignore_case: whether words that differ in nothing but case are one unique word
    :param counts: whether the reply says how often each unique word occurs
    :param terminated: whether the message had a line ending
    """
    if len(message) > max_length:
        return encode(too_long(max_length, terminated=terminated))
    try:
        text = message.decode()
    except UnicodeDecodeError as error:
        return encode(not_utf_8(error.start, terminated=terminated))
    analysis = analyze(text, ignore_case, counts)
    return encode(analysis if terminated else Reply(**asdict(analysis), terminated=False))


def answer_lines(lines: bytes, ignore_case: bool = False, counts: bool = False) -> bytes:
    """
    Return the replies to ``lines``, each with the ending that its message has.

    :param lines: whole lines, none of which is too long
    :param ignore_case: as for :func:`answer`
    :param counts: likewise
    :raises ValueError: if the last of them has no line feed.
    """
    messages, endings = split_lines(lines)
    if len(messages) == 1:
        return answer(messages[0], len(messages[0]), ignore_case, counts) + endings[0]
    return b"".join(map(bytes.__add__, _answer_each(messages, ignore_case, counts), endings))


def _answer_each(messages: list[bytes], ignore_case: bool, counts: bool) -> Iterator[bytes]:
    try:
        return map(encode, analyze_texts(list(map(bytes.decode, messages)), ignore_case, counts))
    except UnicodeDecodeError:
        decoded = [_decode(message) for message in messages]
    analyses = iter(analyze_texts([text for text in decoded if isinstance(text, str)], ignore_case, counts))
    return (encode(next(analyses) if isinstance(text, str) else text) for text in decoded)


def _decode(message: bytes) -> str | Refusal:
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        return not_utf_8(error.start)
