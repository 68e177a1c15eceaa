"""The contract as a model: what a server owes to a peer for what the peer has sent, octet for octet."""

from __future__ import annotations

from functools import lru_cache

from wordecho import wire
from wordecho.wire import Refusal, python_engine

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
TWO = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3}'
EMPTY = b'{"unique_words":[],"word_count":0,"length":0,"bytes":0}'
TWO_UNTERMINATED = TWO[:-1] + b',"terminated":false}'

answer = lru_cache(maxsize=5000)(python_engine.answer)  # the replies themselves have tests of their own


class Contract:
    """
    What the server owes one peer for the stream that came from it.

    :ivar owed: what it owes and the peer has not read
    :ivar is_line_client: whether a line feed has come
    :ivar is_over: whether the server may say no more
    """

    def __init__(self, max_length: int, *, ignore_case: bool = False) -> None:
        self.owed = bytearray()
        self.is_line_client = False
        self.is_over = False
        self._max_length = max_length
        self._ignore_case = ignore_case
        self._rest = b""
        self._is_refused = False  # the message that the rest belongs to was too long already
        self._ending = b"\n"

    def hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.is_line_client = True
            self._end(line)
        if not self._is_refused and self._is_too_long(self._rest):
            self._owe(wire.too_long(self._max_length))
            self._is_refused = True
        if self._is_refused:
            self._rest = b""

    def _end(self, line: bytes) -> None:
        if self._is_refused:
            self._is_refused = False
        elif self._is_too_long(line):
            self._owe(wire.too_long(self._max_length))
        else:
            message = line.removesuffix(b"\r")
            self._ending = b"\n" if message == line else b"\r\n"
            self.owed += self._answer(message) + self._ending

    def _is_too_long(self, line: bytes) -> bool:
        return len(line.removesuffix(b"\r")) > self._max_length

    def _answer(self, message: bytes, terminated: bool = True) -> bytes:
        return answer(message, self._max_length, self._ignore_case, terminated=terminated)

    def _owe(self, refusal: Refusal) -> None:
        self.owed += wire.encode(refusal) + self._ending

    def end_message(self) -> None:
        """The message has ended without a line feed, if one has begun."""
        if self._rest:
            self.owed += self._answer(self._rest, terminated=False) + b"\n"
        self._rest = b""
        self._is_refused = False

    def send_away(self, refusal: Refusal) -> None:
        self._owe(refusal)
        self.is_over = True
