"""What is promised of the line receiver: the same lines however they are cut, and bounds to its work and its memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from wordecho.wire.framing import LinearLineReceiver

thoroughly = settings(deadline=None, derandomize=True, max_examples=400)

TOO_LONG = "too long"

streams = st.text(st.sampled_from("abcd\r\n"), min_size=20, max_size=60).map(str.encode)


class Recorder(LinearLineReceiver):
    """
    Keeps what it is told.

    :ivar events: each line, and TOO_LONG for each that is too long
    :ivar batches: how many lines each call of linesReceived had
    :ivar exceeding: how much there was of the last line that is too long
    :ivar parts: how many times it was told of a line that has not ended yet
    :ivar batch_hook: called once, before the next lines
    :ivar line_hook: called after each line
    """

    def __init__(self, max_length: int = 4) -> None:
        super().__init__()
        self.MAX_LENGTH = max_length
        self.events: list[bytes | str] = []
        self.batches: list[int] = []
        self.exceeding = 0
        self.parts = 0
        self.batch_hook: Callable[[], None] | None = None
        self.line_hook: Callable[[], None] | None = None
        self.makeConnection(StringTransport())

    def linesReceived(self, lines: bytes) -> None:
        self.batches.append(lines.count(b"\n"))
        if self.batch_hook:
            hook, self.batch_hook = self.batch_hook, None
            hook()
        super().linesReceived(lines)

    def linePartReceived(self) -> None:
        self.parts += 1

    def lineReceived(self, line: bytes) -> None:
        self.events.append(line)
        if self.line_hook:
            self.line_hook()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.events.append(TOO_LONG)
        self.exceeding = len(line)

    def receive(self, *reads: bytes) -> list[bytes | str]:
        """Receive ``reads`` and return the events that come of them."""
        self.events = []
        for read in reads:
            self.dataReceived(read)
        return self.events


class OvertakingTests(SynchronousTestCase):
    def test_data_that_comes_while_lines_are_handed_on_does_not_overtake_them(self) -> None:
        receiver = Recorder(max_length=4096)
        receiver.receive(b"0\n")
        fed = False

        def feed() -> None:
            nonlocal fed
            if not fed:
                fed = True
                receiver.dataReceived(b"4\n")

        receiver.line_hook = feed
        self.assertEqual(receiver.receive(b"1\n2\n3\n"), [b"1", b"2", b"3", b"4"])

    def test_it_does_not_overtake_what_waits_either(self) -> None:
        receiver = Recorder(max_length=4096)
        receiver.slice_length = 4
        receiver.receive(b"0\n")
        receiver.batch_hook = lambda: receiver.dataReceived(b"4\n")
        self.assertEqual(receiver.receive(b"1\n2\n3\n"), [b"1", b"2", b"3", b"4"])


class CuttingTests(SynchronousTestCase):
    """A line may have four bytes here."""

    def test_a_line_ends_with_a_line_feed(self) -> None:
        self.assertEqual(Recorder().receive(b"one\ntwo\n\nfo"), [b"one", b"two", b""])

    def test_a_carriage_return_before_it_is_left_where_it_is(self) -> None:
        self.assertEqual(Recorder().receive(b"one\r\n", b"two\r", b"\n"), [b"one\r", b"two\r"])

    @thoroughly
    @given(streams, st.lists(st.integers(0, 60)), st.sampled_from([1, 3, 4, 4096]))
    def test_the_same_lines_come_however_they_are_cut(self, stream: bytes, cuts: list[int], slice_length: int) -> None:
        def is_too_long(line: bytes) -> bool:
            return len(line.removesuffix(b"\r")) > 4

        *lines, rest = stream.split(b"\n")
        expected = [TOO_LONG if is_too_long(line) else line for line in lines]
        if is_too_long(rest):
            expected.append(TOO_LONG)
            rest = b""

        receiver = Recorder()
        receiver.slice_length = slice_length
        reads = [stream[start:end] for start, end in pairwise([0, *sorted(cuts), len(stream)])]
        self.assertEqual(receiver.receive(*reads), expected)
        self.assertEqual(receiver.clearLineBuffer(), rest)

    @thoroughly
    @given(streams, st.lists(st.integers(0, 60)))
    def test_a_read_with_no_line_that_is_too_long_is_handed_on_as_it_is(self, stream: bytes, cuts: list[int]) -> None:
        receiver = Recorder(max_length=4096)
        reads = [stream[start:end] for start, end in pairwise([0, *sorted(cuts), len(stream)])]
        *lines, rest = stream.split(b"\n")
        self.assertEqual(receiver.receive(*reads), lines)
        self.assertEqual(receiver.clearLineBuffer(), rest)

    def test_a_line_that_is_too_long_is_told_of_as_soon_as_that_is_known_and_once(self) -> None:
        receiver = Recorder()
        self.assertEqual(receiver.receive(b"1234"), [])
        self.assertEqual(receiver.receive(b"5"), [TOO_LONG])
        self.assertEqual(receiver.receive(b"6", b"7890123", b"\r", b"\n"), [])

    def test_the_line_after_one_that_is_too_long_is_received(self) -> None:
        self.assertEqual(Recorder().receive(b"12345", b"6\nnext\n"), [TOO_LONG, b"next"])
        self.assertEqual(Recorder().receive(b"a\n123456\nnext\n"), [b"a", TOO_LONG, b"next"])

    def test_a_carriage_return_at_the_limit_may_belong_to_the_ending(self) -> None:
        self.assertEqual(Recorder().receive(b"1234\r", b"\n"), [b"1234\r"])

    def test_a_carriage_return_at_the_limit_counts_if_no_line_feed_follows(self) -> None:
        self.assertEqual(Recorder().receive(b"1234\r", b"5"), [TOO_LONG])
        self.assertEqual(Recorder().receive(b"1234\r", b"\r"), [TOO_LONG])


class ClearLineBufferTests(SynchronousTestCase):
    def test_it_takes_back_the_line_that_has_no_ending_so_far(self) -> None:
        receiver = Recorder()
        receiver.receive(b"one\nt", b"wo")
        self.assertEqual(receiver.clearLineBuffer(), b"two")
        self.assertEqual(receiver.clearLineBuffer(), b"")

    def test_what_comes_next_starts_a_line(self) -> None:
        receiver = Recorder()
        receiver.receive(b"abc")
        receiver.clearLineBuffer()
        self.assertEqual(receiver.receive(b"def\n"), [b"def"])

    def test_what_comes_next_starts_a_line_within_one_that_is_too_long_as_well(self) -> None:
        receiver = Recorder()
        receiver.receive(b"12345")
        self.assertEqual(receiver.clearLineBuffer(), b"")
        self.assertEqual(receiver.receive(b"def\n"), [b"def"])


class DeafTests(SynchronousTestCase):
    def test_what_comes_after_the_receiver_has_stopped_is_dropped(self) -> None:
        for before in b"", b"one\nt", b"12345":
            receiver = Recorder()
            receiver.receive(before)
            receiver.stopReceiving()
            self.assertEqual(receiver.receive(b"wo\n", b"three\n", b"12345", b"\n" * 10_000), [])
            self.assertFalse(receiver._waiting)

    def test_what_waits_is_dropped_too(self) -> None:
        receiver = Recorder()
        receiver.pauseProducing()
        receiver.receive(b"one\n")
        receiver.stopReceiving()
        receiver.resumeProducing()
        self.assertEqual(receiver.events, [])


class PartTests(SynchronousTestCase):
    def test_a_read_that_ends_in_the_midst_of_a_line_is_told_of(self) -> None:
        receiver = Recorder()
        for read, is_part in (
            (b"one\n", False),
            (b"two\nt", True),
            (b"hre", True),
            (b"e\n", False),
            (b"1234567", True),
            (b"89", True),
            (b"\n", False),
        ):
            before = receiver.parts
            receiver.receive(read)
            self.assertEqual(receiver.parts - before, is_part, read)


class PauseTests(SynchronousTestCase):
    LINES = tuple(b"%04d" % number for number in range(80))
    READ = b"\n".join(LINES) + b"\n"

    def setUp(self) -> None:
        self.receiver = Recorder()
        self.receiver.slice_length = 16  # three lines of five bytes with their endings, and no part of the next
        self.receiver.transport.registerProducer(self.receiver, True)

    def test_the_transport_pauses_too(self) -> None:
        self.receiver.pauseProducing()
        self.assertEqual(self.receiver.transport.producerState, "paused")
        self.receiver.resumeProducing()
        self.assertEqual(self.receiver.transport.producerState, "producing")

    def test_what_comes_in_a_pause_waits_for_its_end(self) -> None:
        self.receiver.pauseProducing()
        self.assertEqual(self.receiver.receive(b"one\nt", b"wo\n"), [])
        self.receiver.resumeProducing()
        self.assertEqual(self.receiver.events, [b"one", b"two"])

    def test_what_comes_after_a_pause_does_not_overtake_what_came_in_it(self) -> None:
        self.receiver.line_hook = self.receiver.pauseProducing
        self.receiver.receive(self.READ)
        self.receiver.line_hook = None
        self.receiver.dataReceived(b"more\n")
        self.receiver.resumeProducing()
        self.receiver.dataReceived(b"last\n")
        self.assertEqual(self.receiver.events, [*self.LINES, b"more", b"last"])

    def test_what_comes_in_a_pause_waits_after_whole_lines_too(self) -> None:
        self.receiver.receive(b"one\n")
        self.receiver.pauseProducing()
        self.assertEqual(self.receiver.receive(b"3\n"), [])
        self.receiver.resumeProducing()
        self.assertEqual(self.receiver.events, [b"3"])

    def test_nothing_comes_after_an_end(self) -> None:
        self.receiver.receive(b"one\n")
        self.receiver.stopProducing()
        self.assertEqual(self.receiver.receive(b"two\n", b"three\n"), [])

    def test_one_slice_at_most_comes_after_it_and_every_resume_brings_the_next(self) -> None:
        self.receiver.line_hook = self.receiver.pauseProducing
        self.assertEqual(self.receiver.receive(self.READ), list(self.LINES[:3]))
        for number in range(3, 80, 3):
            self.receiver.resumeProducing()
            self.assertEqual(self.receiver.events, list(self.LINES[: number + 3]))
        self.assertEqual(self.receiver.events, list(self.LINES))

    def test_a_pause_that_ends_before_the_line_is_done_with_changes_nothing(self) -> None:
        def pause_and_resume() -> None:
            self.receiver.pauseProducing()
            self.receiver.resumeProducing()

        self.receiver.line_hook = pause_and_resume
        self.assertEqual(self.receiver.receive(self.READ), list(self.LINES))


class BoundsTests(SynchronousTestCase):
    def test_of_an_endless_line_no_more_is_held_than_its_limit_and_a_slice(self) -> None:
        for read in (b"x", b"x" * 1000, b"x" * 65536):
            receiver = Recorder(max_length=10_000)
            held = 0
            for _ in range(20_000 // len(read) + 2):
                receiver.dataReceived(read)
                held = max(held, len(receiver._partial or b""))
            self.assertEqual(receiver.events, [TOO_LONG])
            self.assertLessEqual(held, 10_001)
            self.assertLessEqual(receiver.exceeding, 10_001 + min(len(read), receiver.slice_length))

    def test_a_read_of_many_lines_is_cut_once_a_slice(self) -> None:
        receiver = Recorder(max_length=100)
        receiver.receive((b"x" * 63 + b"\n") * 2**16)
        self.assertEqual(receiver.batches, [4096 // 64] * 1024)

    def test_a_slice_ends_with_a_line_so_that_no_line_is_put_together_again(self) -> None:
        receiver = Recorder(max_length=100)
        receiver.receive((b"x" * 99 + b"\n") * 1000)
        self.assertEqual(receiver.batches, [40] * 25)
        self.assertEqual(receiver.parts, 0)

    def test_a_line_that_comes_in_small_pieces_grows_where_it_is(self) -> None:
        receiver = Recorder(max_length=100_000)
        receiver.receive(b"x")
        partial = receiver._partial
        receiver.receive(*[b"x"] * 99_999)
        self.assertIs(receiver._partial, partial)
        self.assertEqual(receiver.receive(b"\n"), [b"x" * 100_000])
        self.assertEqual(receiver.batches, [1])
