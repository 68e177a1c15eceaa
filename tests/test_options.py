"""What the commands' options take, and the sentence that refuses anything else."""

from __future__ import annotations

from collections.abc import Callable

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from wordecho import options
from wordecho.settings import Setting

Convert = Callable[[str], float]


def outcome(convert: Convert, value: str) -> object:
    """Return what ``convert`` makes of ``value``, or the sentence that refuses it."""
    try:
        return convert(value)
    except usage.UsageError as refusal:
        return str(refusal)


class WholeNumberTests(SynchronousTestCase):
    convert = staticmethod(options.whole_number("port", 1, 65535))

    def assert_refuses(self, value: str) -> None:
        sentence = f"--port takes a whole number from 1 to 65535, not {value!r}."
        self.assertEqual(outcome(self.convert, value), sentence)

    def test_the_least_and_the_most_and_what_is_between_are_taken(self) -> None:
        self.assertEqual([self.convert(value) for value in ("1", "080", "65535")], [1, 80, 65535])

    def test_a_number_out_of_the_range_is_refused(self) -> None:
        for value in ("0", "65536", "-1", "9" * 4000):
            self.assert_refuses(value)

    def test_a_number_that_is_longer_than_python_reads_is_refused_no_other_way(self) -> None:
        self.assert_refuses("9" * 5000)

    def test_what_is_no_whole_number_is_refused(self) -> None:
        for value in (
            "",
            " ",
            "http",
            "80.0",
            "8e1",
            "+80",
            " 80",
            "80\n",
            "8_0",
            "0x50",
            "\u0668\u0660",
            "\uff18\uff10",
            "²",
        ):
            self.assert_refuses(value)


class SecondsTests(SynchronousTestCase):
    convert = staticmethod(options.seconds("idle-timeout"))

    def assert_refuses(self, value: str) -> None:
        sentence = f"--idle-timeout takes a number of seconds from 0 to 604800, not {value!r}."
        self.assertEqual(outcome(self.convert, value), sentence)

    def test_a_whole_number_of_seconds_is_shown_as_one(self) -> None:
        self.assertEqual(
            [repr(self.convert(value)) for value in ("0", "10", "2.0", "604800")], ["0", "10", "2", "604800"]
        )

    def test_parts_of_a_second_are_taken(self) -> None:
        self.assertEqual([self.convert(value) for value in ("0.5", ".25", "1.5")], [0.5, 0.25, 1.5])

    def test_a_number_out_of_the_range_is_refused(self) -> None:
        for value in ("-1", "-0.001", "604800.1", "1e400", "inf", "-inf", "infinity", "9" * 5000):
            self.assert_refuses(value)

    def test_what_is_no_number_is_refused(self) -> None:
        for value in ("", " ", "nan", "-nan", "soon", "10s", "1,5", "0x10", "1:30"):
            self.assert_refuses(value)

    def test_a_number_written_in_any_way_but_the_usual_one_is_refused(self) -> None:
        for value in ("\u0661\u0660", "\uff11\uff10", "1_0"):
            self.assert_refuses(value)

    def test_the_span_of_a_setting_is_kept_to(self) -> None:
        name, _, default, text, convert = options.parameter(Setting("wait", 5, "seconds", 1, 10), "how long")
        self.assertEqual((name, default, text), ("wait", 5, "how long"))
        self.assertEqual([convert(value) for value in ("1", "10")], [1, 10])
        for value in "0", "0.9", "10.1":
            sentence = f"--wait takes a number of seconds from 1 to 10, not {value!r}."
            self.assertEqual(outcome(convert, value), sentence)

    def test_zero_is_refused_where_it_would_mean_nothing(self) -> None:
        convert = options.seconds("timeout", zero=False)
        for value in ("0", "0.0", "-0", "1e-400"):
            sentence = f"--timeout takes a number of seconds above 0 and up to 604800, not {value!r}."
            self.assertEqual(outcome(convert, value), sentence)
        self.assertEqual(convert("0.001"), 0.001)
