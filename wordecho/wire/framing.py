"""Lines from a stream in time linear in the bytes received, however they are cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from twisted.protocols.basic import LineReceiver

# A paused receiver stops between two slices. What one slice of the shortest lines can make a server write bounds how
# far its transport's buffer grows past the mark at which the transport asks for the pause.
SLICE_LENGTH = 4096


class LinearLineReceiver(LineReceiver):
    """
    A :class:`LineReceiver` whose cost does not grow with the number of lines in a read, nor with the pieces that a
    line comes in.

    The original cuts one line at a time off the front of its buffer and copies the rest each time (Twisted's issue
    6357). This one hands on all the lines of a read at once, and keeps the contract of the original in line mode, but
    for these points:

    - lines end with a line feed; a carriage return before it is left to the subclass, but does not count as length;
    - after :meth:`lineLengthExceeded` the rest of that line is skipped and the next line is received as ever;
    - the lines of a read come to :meth:`linesReceived` first, which cuts them and hands them to :meth:`lineReceived`;
    - :meth:`linePartReceived` tells of a line that has not ended yet.

    :ivar clear_length: how many octets a read of whole lines may have that needs nothing but to be handed on to
        :meth:`linesReceived`; 0 where something is in its way
    """

    delimiter = b"\n"

    # Twisted declares an ITransport or None here, which has none of the methods of producers and consumers.
    transport: Any

    def __init__(self) -> None:
        self.slice_length = SLICE_LENGTH
        self.paused = False
        self._partial: bytearray | None = None  # what has come of a line, None between two lines
        self._is_skipping = False  # that line is too long, and the rest of it is not wanted
        self._waiting: deque[bytes] | None = None  # slices that are not cut yet
        self._is_busy = False  # lines are being handed on; what comes meanwhile must not overtake them
        self._is_deaf = False
        self.clear_length = 0

    def dataReceived(self, data: bytes) -> None:
        if len(data) <= self.clear_length and data.endswith(b"\n"):
            self.linesReceived(data)
        elif not self._is_deaf:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.extend(self._slices(data))
            if not self._is_busy:
                self._cut_waiting()

    def _slices(self, data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            end = start + self.slice_length
            if end < len(data):  # behind a line feed, or the line that it is in would have to be put together again
                end = data.rfind(b"\n", start, end) + 1 or end
            yield data[start:end]
            start = end

    def pauseProducing(self) -> None:
        self.clear_length = 0
        super().pauseProducing()

    def stopProducing(self) -> None:
        self.clear_length = 0
        super().stopProducing()

    def stopReceiving(self) -> None:
        """Drop whatever comes from now on."""
        self._is_deaf = True
        self.clear_length = 0
        self._waiting = None

    def _cut_waiting(self) -> None:
        self._is_busy = True
        self.clear_length = 0
        try:
            while self._waiting and not self.paused:
                self._cut(self._waiting.popleft())
        finally:
            self._is_busy = False
        if not self._waiting:
            self._waiting = None
            if self._partial is None and not self.paused and not self._is_deaf:
                self.clear_length = min(self.slice_length, self.MAX_LENGTH)

    def _cut(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        if end:
            self.linesReceived(self._fitting(data[:end]))
        if end < len(data):
            if self._partial is None:
                self._partial = bytearray()
            if not self._is_skipping:
                self._partial += data[end:]
                # A carriage return at the very end may yet turn out to belong to the ending.
                if self._exceeds(self._partial):
                    line = self.clearLineBuffer()
                    self._partial, self._is_skipping = bytearray(), True
                    self.lineLengthExceeded(line)
            self.linePartReceived()

    def _fitting(self, lines: bytes) -> bytes:
        """Put what came before in front of ``lines``, and return those after the last one that is too long."""
        if self._is_skipping:
            lines = lines[lines.index(b"\n") + 1 :]
        elif self._partial is not None:
            lines = bytes(self._partial + lines)
        self._partial, self._is_skipping = None, False
        if len(lines) <= self.MAX_LENGTH:
            return lines
        begin = end = 0
        while end < len(lines):
            start, end = end, lines.index(b"\n", end) + 1
            if end - start > self.MAX_LENGTH and self._exceeds(line := lines[start : end - 1]):
                self.linesReceived(lines[begin:start])
                self.lineLengthExceeded(line)
                begin = end
        return lines[begin:]

    def _exceeds(self, line: bytes | bytearray) -> bool:
        return len(line) - line.endswith(b"\r") > self.MAX_LENGTH

    def clearLineBuffer(self) -> bytes:
        """Take back what has come of a line that has no ending so far; what comes next starts a line."""
        partial = bytes(self._partial or b"")
        self._partial, self._is_skipping = None, False
        return partial

    def linesReceived(self, lines: bytes) -> None:
        """
        Called when line feeds have come.

        :param lines: the lines that they end, the endings included; a line that was too long is not among them
        """
        was_busy, self._is_busy, self.clear_length = self._is_busy, True, 0
        try:
            for line in lines.split(b"\n")[:-1]:
                self.lineReceived(line)
        finally:
            self._is_busy = was_busy
        if self._waiting and not was_busy:
            self._cut_waiting()

    def linePartReceived(self) -> None:
        """Called when what has come ends in the midst of a line, whether that is too long or not."""
