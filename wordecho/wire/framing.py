"""
Lines from a stream, in time linear in the octets, however they come.

Twisted's ``LineReceiver`` cuts one line at a time off the front of its buffer and copies the rest each time (Twisted's
issue 6357). Here whole lines stay together, and they are cut when somebody asks for the next ones. Nothing is called
meanwhile, so nothing can come in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

# What is answered in one go. What one slice of the shortest lines can make a server write bounds how far its
# transport's buffer grows past the mark at which the transport asks for a pause.
SLICE_LENGTH = 4096

TOO_LONG = b""
"""What comes in the place of a line that is too long."""


def split_ending(line: bytes) -> tuple[bytes, bytes]:
    """
    Part ``line`` into its message and its ending: a carriage return and a line feed, a line feed, or nothing.

    One carriage return right before the line feed belongs to the ending; any other one is part of the message.
    """
    if line.endswith(b"\r\n"):
        return line[:-2], b"\r\n"
    return (line[:-1], b"\n") if line.endswith(b"\n") else (line, b"")


def split_lines(lines: bytes) -> tuple[list[bytes], list[bytes]]:
    """
    Part whole ``lines`` into their messages and their endings, as :func:`split_ending` does.

    :raises ValueError: if the last of them has no line feed.
    """
    *messages, rest = lines.split(b"\n")
    if rest:
        raise ValueError("lines must end with a line feed")
    if b"\r" not in lines:
        return messages, [b"\n"] * len(messages)
    endings = [b"\r\n" if message.endswith(b"\r") else b"\n" for message in messages]
    return [message.removesuffix(b"\r") for message in messages], endings


class Framing:
    """
    What has come of a stream.

    :param max_length: octets that a line may have, its ending not counted
    :ivar tail: how the last lines that were returned end, two octets of them, or a line feed where all were too long;
        empty before there was a line feed
    :ivar waiting: slices that are not cut yet; None where :meth:`next_lines` has nothing more to return
    """

    __slots__ = ("_at_once", "_is_skipping", "_max_length", "_partial", "_pieces", "tail", "waiting")

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._at_once = min(SLICE_LENGTH, max_length)
        self._partial: bytearray | None = None  # what has come of a line, None between two lines
        self._is_skipping = False  # that line is too long, and the rest of it is not wanted
        self.waiting: deque[bytes] | None = None
        self._pieces: Iterator[bytes] | None = None  # what they are cut into
        self.tail = b""

    def receive(self, data: bytes) -> bytes | None:
        """Take ``data`` in, and return what :meth:`next_lines` would."""
        if self.waiting is None and self._partial is None and len(data) <= self._at_once and data.endswith(b"\n"):
            self.tail = data[-2:]
            return data
        self.hold(data)
        return self.next_lines()

    def hold(self, data: bytes) -> None:
        """Take ``data`` in, to be asked for later."""
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.extend(_slices(data))

    def next_lines(self) -> bytes | None:
        """
        Return the next lines that are whole, with their endings, about a slice of them.

        :return: :data:`TOO_LONG` in the place of a line that is too long, as soon as that is known; None for as long as
            there is nothing
        """
        if self.waiting is None:
            return None
        if self._pieces is None:
            self._pieces = self._cut(self.waiting)
        lines = next(self._pieces, None)
        if lines is None:
            self.waiting = self._pieces = None
        return lines

    def take_partial(self) -> bytes:
        """Take back what has come of a line that has no ending so far; what comes next starts a line."""
        partial = bytes(self._partial or b"")
        self._partial, self._is_skipping = None, False
        return partial

    @property
    def ending(self) -> bytes:
        """The ending of the last line, a line feed where there was none."""
        return split_ending(self.tail)[1] or b"\n"

    @property
    def held(self) -> int:
        """How many octets are held."""
        return len(self._partial or b"") + sum(map(len, self.waiting or ()))

    def _cut(self, waiting: deque[bytes]) -> Iterator[bytes]:
        while waiting:
            data = waiting.popleft()
            end = data.rfind(b"\n") + 1
            if end == len(data) <= self._at_once and self._partial is None:
                yield self._ended(data)
                continue
            if end:
                self.tail = self.tail or b"\n"  # it may be that of a line that is too long
                yield from self._whole_lines(data[:end])
            if end < len(data):
                if self._partial is None:
                    self._partial = bytearray()
                if not self._is_skipping:
                    self._partial += data[end:]
                    # A carriage return at the very end may yet turn out to belong to the ending.
                    if self._exceeds(self._partial):
                        self._partial, self._is_skipping = bytearray(), True
                        yield TOO_LONG

    def _whole_lines(self, lines: bytes) -> Iterator[bytes]:
        if self._is_skipping:
            lines = lines[lines.index(b"\n") + 1 :]
        elif self._partial is not None:
            lines = bytes(self._partial + lines)
        self._partial, self._is_skipping = None, False
        begin = 0
        if len(lines) > self._max_length:
            end = 0
            while end < len(lines):
                start, end = end, lines.index(b"\n", end) + 1
                if end - start > self._max_length and self._exceeds(lines[start : end - 1]):
                    if begin < start:
                        yield self._ended(lines[begin:start])
                    yield TOO_LONG
                    begin = end
        if begin < len(lines):
            yield self._ended(lines[begin:])

    def _ended(self, lines: bytes) -> bytes:
        self.tail = lines[-2:]
        return lines

    def _exceeds(self, line: bytes | bytearray) -> bool:
        return len(line) - line.endswith(b"\r") > self._max_length


def _slices(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = start + SLICE_LENGTH
        if end < len(data):  # behind a line feed, or the line that it is in would have to be put together again
            end = data.rfind(b"\n", start, end) + 1 or end
        yield data[start:end]
        start = end
