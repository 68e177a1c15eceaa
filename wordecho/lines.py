"""Lines from a stream in time linear in the bytes received, however they are cut."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.protocols.basic import LineReceiver


class LinearLineReceiver(LineReceiver):
    """
    A :class:`LineReceiver` whose cost does not grow with the number of lines in a read, nor with the pieces that a
    line comes in.

    The original cuts one line at a time off the front of its buffer and copies the rest each time (Twisted's issue
    6357). This one cuts everything that has come at once, and keeps the contract of the original in line mode, but for
    these points:

    - lines end with a line feed; a carriage return before it is left to the subclass, but does not count as length;
    - after :meth:`lineLengthExceeded` the rest of that line is skipped and the next line is received as ever;
    - all lines of a read come to :meth:`linesReceived` first, which hands them to :meth:`lineReceived` one by one.
    """

    delimiter = b"\n"

    # A paused receiver stops between two slices. What one slice of the shortest lines can make a server write bounds
    # how far its transport's buffer grows past the mark at which the transport asks for the pause.
    SLICE = 4096

    # Twisted declares an ITransport or None here, which has none of the methods of producers and consumers.
    transport: Any

    _waiting: deque[bytes] | None = None  # slices that are not cut yet
    _is_cutting = False
    _skipping = False

    def __init__(self) -> None:
        self._partial = bytearray()

    def dataReceived(self, data: bytes) -> None:
        if self._waiting is None and not self.paused and not self._is_cutting and len(data) <= self.SLICE:
            self._cut(data)
        else:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.extend(data[start : start + self.SLICE] for start in range(0, len(data), self.SLICE))
        while self._waiting and not self.paused and not self._is_cutting:
            self._cut(self._waiting.popleft())
        if not self._waiting and not self._is_cutting:
            self._waiting = None

    def _cut(self, data: bytes) -> None:
        self._is_cutting = True  # a pause that ends before this is done with must not let later data overtake
        try:
            lines = data.split(b"\n")
            rest = lines.pop()
            if lines:
                if self._partial or self._skipping or len(data) > self.MAX_LENGTH:
                    lines = self._fitting(lines, len(data))
                self.linesReceived(lines)
            if rest and not self._skipping:
                self._partial += rest
                # A carriage return at the very end may yet turn out to belong to the ending.
                if self._exceeds(self._partial):
                    line = self.clearLineBuffer()
                    self._skipping = True
                    self.lineLengthExceeded(line)
        finally:
            self._is_cutting = False

    def _fitting(self, lines: list[bytes], size: int) -> list[bytes]:
        """Join what came before to the first of ``lines``, and return those after the last one that is too long."""
        if self._skipping:
            self._skipping = False
            del lines[0]
        elif self._partial:
            size += len(self._partial)
            lines[0] = bytes(self._partial + lines[0])
            self._partial.clear()
        return self._part_at_exceeding(lines) if size > self.MAX_LENGTH else lines

    def _part_at_exceeding(self, lines: list[bytes]) -> list[bytes]:
        """Hand on ``lines`` up to the last one that is too long; return those after it."""
        fitting: list[bytes] = []
        for line in lines:
            if self._exceeds(line):
                self.linesReceived(fitting)
                self.lineLengthExceeded(line)
                fitting = []
            else:
                fitting.append(line)
        return fitting

    def _exceeds(self, line: bytes | bytearray) -> bool:
        return len(line) - line.endswith(b"\r") > self.MAX_LENGTH

    def clearLineBuffer(self) -> bytes:
        """Take back what has come of a line that has no ending so far; what comes next starts a line."""
        partial = bytes(self._partial)
        self._partial.clear()
        self._skipping = False
        return partial

    def linesReceived(self, lines: list[bytes]) -> None:
        """Called when line feeds have come, with the lines that they end; one that was too long is not among them."""
        for line in lines:
            self.lineReceived(line)
