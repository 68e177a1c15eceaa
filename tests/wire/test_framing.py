"""What is promised of framing: the same lines however they come, and bounds to its work and to what it holds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wordecho.wire.framing import TOO_LONG, Framing, split_ending, split_lines

thoroughly = settings(deadline=None, derandomize=True, max_examples=400)

streams = st.text(st.sampled_from("abcd\r\n"), min_size=20, max_size=60).map(str.encode)


def received(framing: Framing, *reads: bytes) -> list[bytes]:
    """Return what comes of ``reads``, one after the other."""
    came = []
    for read in reads:
        lines = framing.receive(read)
        while lines is not None:
            came.append(lines)
            lines = framing.next_lines()
    return came


def lines_of(framing: Framing, *reads: bytes) -> list[bytes | None]:
    """Return the lines that come of ``reads``, their endings not, and None for each that is too long."""
    lines: list[bytes | None] = []
    for piece in received(framing, *reads):
        lines += [None] if piece is TOO_LONG else piece.split(b"\n")[:-1]
    return lines


class EndingTests(SynchronousTestCase):
    def test_one_carriage_return_right_before_the_line_feed_belongs_to_the_ending(self) -> None:
        for line, message, ending in (
            (b"one\n", b"one", b"\n"),
            (b"one\r\n", b"one", b"\r\n"),
            (b"one\r\r\n", b"one\r", b"\r\n"),
            (b"one\r", b"one\r", b""),
            (b"one", b"one", b""),
            (b"\r\n", b"", b"\r\n"),
            (b"\n", b"", b"\n"),
            (b"", b"", b""),
        ):
            self.assertEqual(split_ending(line), (message, ending))

    def test_of_many_lines_too(self) -> None:
        self.assertEqual(split_lines(b"one\ntwo\n"), ([b"one", b"two"], [b"\n", b"\n"]))
        self.assertEqual(split_lines(b"a\r\nb\rc\n\r\r\n"), ([b"a", b"b\rc", b"\r"], [b"\r\n", b"\n", b"\r\n"]))
        self.assertEqual(split_lines(b""), ([], []))

    def test_lines_that_are_not_whole_are_a_mistake(self) -> None:
        self.assertRaises(ValueError, split_lines, b"one\ntwo")


class CuttingTests(SynchronousTestCase):
    """A line may have four bytes here."""

    def setUp(self) -> None:
        self.framing = Framing(max_length=4)

    def test_a_line_ends_with_a_line_feed(self) -> None:
        self.assertEqual(received(self.framing, b"one\ntwo\n\nfo"), [b"one\ntwo\n\n"])

    def test_a_line_may_come_in_any_pieces(self) -> None:
        self.assertEqual(received(self.framing, b"one\r\n", b"t", b"wo\r", b"\n"), [b"one\r\n", b"two\r\n"])

    @thoroughly
    @given(streams, st.lists(st.integers(0, 60)))
    def test_the_same_lines_come_however_they_are_cut(self, stream: bytes, cuts: list[int]) -> None:
        def is_too_long(line: bytes) -> bool:
            return len(line.removesuffix(b"\r")) > 4

        *lines, rest = stream.split(b"\n")
        expected = [None if is_too_long(line) else line for line in lines]
        if is_too_long(rest):
            expected.append(None)
            rest = b""
        framing = Framing(max_length=4)
        reads = [stream[start:end] for start, end in pairwise([0, *sorted(cuts), len(stream)])]
        self.assertEqual(lines_of(framing, *reads), expected)
        self.assertEqual(framing.take_partial(), rest)

    def test_a_line_that_is_too_long_is_told_of_as_soon_as_that_is_known_and_once(self) -> None:
        self.assertEqual(received(self.framing, b"1234"), [])
        self.assertEqual(received(self.framing, b"5"), [TOO_LONG])
        self.assertEqual(received(self.framing, b"6", b"7890123", b"\r", b"\n"), [])

    def test_the_line_after_one_that_is_too_long_is_received(self) -> None:
        self.assertEqual(received(self.framing, b"12345", b"6\nnext\n"), [TOO_LONG, b"next\n"])
        self.assertEqual(received(self.framing, b"a\n123456\nnext\n"), [b"a\n", TOO_LONG, b"next\n"])

    def test_a_carriage_return_at_the_limit_may_belong_to_the_ending(self) -> None:
        self.assertEqual(received(self.framing, b"1234\r", b"\n"), [b"1234\r\n"])
        self.assertEqual(received(self.framing, b"1234\r\n"), [b"1234\r\n"])

    def test_a_carriage_return_at_the_limit_counts_if_no_line_feed_follows(self) -> None:
        self.assertEqual(received(self.framing, b"1234\r", b"5"), [TOO_LONG])
        self.assertEqual(received(Framing(max_length=4), b"1234\r", b"\r"), [TOO_LONG])


class EndingOfTheStreamTests(SynchronousTestCase):
    """What the server says unasked ends as the last line did that it has answered."""

    def test_it_is_a_line_feed_where_there_was_none(self) -> None:
        framing = Framing(max_length=4)
        self.assertEqual((framing.ending, framing.tail), (b"\n", b""))
        received(framing, b"on")
        self.assertEqual((framing.ending, framing.tail), (b"\n", b""))

    def test_it_is_that_of_the_last_line(self) -> None:
        for reads, ending in (
            ([b"one\r\n"], b"\r\n"),
            ([b"one\r\n\n"], b"\n"),
            ([b"one\r", b"\n"], b"\r\n"),
            ([b"one\r", b"\ntw"], b"\r\n"),
            ([b"one\r\n", b"two\n", b"th"], b"\n"),
            ([b"\n"], b"\n"),
        ):
            framing = Framing(max_length=4)
            received(framing, *reads)
            self.assertEqual(framing.ending, ending)

    def test_it_is_known_when_a_line_in_their_midst_is_too_long(self) -> None:
        for first, ending in (b"one\r\n", b"\r\n"), (b"\n", b"\n"):
            framing = Framing(max_length=4)
            self.assertEqual((framing.receive(first + b"12345\n"), framing.tail[-1:]), (first, b"\n"))
            self.assertEqual((framing.next_lines(), framing.ending), (TOO_LONG, ending))
        framing = Framing(max_length=4)
        framing.receive(b"one\r\n12345\ntwo\n")
        self.assertEqual((framing.next_lines(), framing.ending), (TOO_LONG, b"\r\n"))
        self.assertEqual((framing.next_lines(), framing.ending), (b"two\n", b"\n"))

    def test_the_end_of_a_line_that_was_too_long_is_a_line_feed_too(self) -> None:
        framing = Framing(max_length=4)
        received(framing, b"12345", b"6")
        self.assertEqual(framing.tail, b"")
        received(framing, b"7\n")
        self.assertEqual(framing.tail, b"\n")
        for reads in [b"12345\n"], [b"123", b"45\n"]:
            framing = Framing(max_length=4)
            self.assertEqual(received(framing, *reads), [TOO_LONG])
            self.assertEqual(framing.tail, b"\n")


class TakePartialTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.framing = Framing(max_length=4)

    def test_it_takes_back_the_line_that_has_no_ending_so_far(self) -> None:
        received(self.framing, b"one\nt", b"wo")
        self.assertEqual(self.framing.take_partial(), b"two")
        self.assertEqual(self.framing.take_partial(), b"")

    def test_what_comes_next_starts_a_line(self) -> None:
        received(self.framing, b"abc")
        self.framing.take_partial()
        self.assertEqual(received(self.framing, b"def\n"), [b"def\n"])

    def test_what_comes_next_starts_a_line_within_one_that_is_too_long_as_well(self) -> None:
        received(self.framing, b"12345")
        self.assertEqual(self.framing.take_partial(), b"")
        self.assertEqual(received(self.framing, b"def\n"), [b"def\n"])


class HoldTests(SynchronousTestCase):
    def test_what_is_held_comes_when_it_is_asked_for_and_in_order(self) -> None:
        framing = Framing(max_length=4)
        framing.hold(b"one\nt")
        framing.hold(b"wo\n")
        self.assertEqual(framing.held, 8)
        self.assertEqual([framing.next_lines() for _ in range(3)], [b"one\n", b"two\n", None])
        self.assertEqual(framing.held, 0)

    def test_what_comes_later_does_not_overtake_it(self) -> None:
        framing = Framing(max_length=4)
        framing.hold(b"one\n")
        self.assertEqual(received(framing, b"two\n", b"3\n"), [b"one\n", b"two\n", b"3\n"])

    def test_nor_what_came_between_two_pieces_of_a_read(self) -> None:
        framing = Framing(max_length=4)
        framing.receive(b"1\n12345\n2\n")
        framing.hold(b"3\n")
        self.assertEqual([framing.next_lines() for _ in range(4)], [TOO_LONG, b"2\n", b"3\n", None])

    def test_nothing_comes_of_nothing(self) -> None:
        framing = Framing(max_length=4)
        self.assertEqual((framing.next_lines(), framing.receive(b""), framing.next_lines()), (None, None, None))
        self.assertEqual(received(framing, b"one\n"), [b"one\n"])


class BoundsTests(SynchronousTestCase):
    def test_of_an_endless_line_no_more_is_held_than_its_limit_and_a_slice(self) -> None:
        for read in (b"x", b"x" * 1000, b"x" * 65536):
            framing = Framing(max_length=10_000)
            came = []
            for _ in range(20_000 // len(read) + 2):
                came += received(framing, read)
                self.assertLessEqual(framing.held, 10_001)
            self.assertEqual(came, [TOO_LONG])

    def test_a_read_of_many_lines_is_cut_into_slices_of_4_kB(self) -> None:
        framing = Framing(max_length=100)
        came = received(framing, (b"x" * 63 + b"\n") * 2**16)
        self.assertEqual([lines.count(b"\n") for lines in came], [4096 // 64] * 1024)

    def test_a_slice_ends_with_a_line_so_that_no_line_is_put_together_again(self) -> None:
        framing = Framing(max_length=100)
        came = received(framing, (b"x" * 99 + b"\n") * 1000)
        self.assertEqual([lines.count(b"\n") for lines in came], [40] * 25)

    def test_a_read_of_whole_lines_is_returned_as_it_is(self) -> None:
        read = b"one\ntwo\n"
        self.assertIs(Framing(max_length=4096).receive(read), read)

    def test_a_line_that_comes_in_small_pieces_grows_where_it_is(self) -> None:
        framing = Framing(max_length=100_000)
        received(framing, b"x")
        partial = framing._partial
        received(framing, *[b"x"] * 99_999)
        self.assertIs(framing._partial, partial)
        self.assertEqual(received(framing, b"\n"), [b"x" * 100_000 + b"\n"])
