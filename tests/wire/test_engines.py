"""What is promised of both engines: the octets of each reply, alike."""

from __future__ import annotations

import json
from itertools import product
from typing import Any
from unicodedata import category, name

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.engines import FAULTS, NATIVE, PYTHON, NativeTestCase, replace_by_each_engine, representatives
from tests.furniture.words import word_break_tests
from unicode import make_tables
from wordecho.text.analysis import analyze
from wordecho.wire import Refusal, Reply, decode
from wordecho.wire.engine import Engine
from wordecho.wire.framing import split_ending

# The same function is the test of each engine.
thoroughly = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.differing_executors])

# Runs of messages of one kind come by another way than a mix.
_TEXTS = [
    *(st.text("ab \r"), st.text("ae\u0301áé Ж\r"), st.text("ab 你好のไทย \r"), st.text("कखख़ि़ अ"), st.text()),
]
messages = st.one_of(*_TEXTS).map(lambda text: text.replace("\n", "").encode()) | st.just(b"\xff")
endings = st.sampled_from([b"\n", b"\r\n"])


class EngineTestCase(SynchronousTestCase):
    engine: Engine

    def answer(self, message: bytes, *parameters: Any, **named: Any) -> bytes:
        return self.engine.answer(message, *parameters, **named)

    def unique_words(self, text: str, **named: Any) -> list[str]:
        found: list[str] = json.loads(self.answer(text.encode(), **named))["unique_words"]
        return found


class ReplyTests(EngineTestCase):
    def test_a_reply_has_the_unique_words_and_the_counts(self) -> None:
        self.assertEqual(
            self.answer(b"Hello, world hello world"),
            b'{"unique_words":["Hello","world","hello"],"word_count":4,"length":24,"bytes":24}',
        )

    def test_length_is_in_characters_and_bytes_in_octets(self) -> None:
        self.assertEqual(
            self.answer("naïve 👍".encode()),
            '{"unique_words":["naïve"],"word_count":1,"length":7,"bytes":11}'.encode(),
        )

    def test_an_empty_message_has_a_reply(self) -> None:
        self.assertEqual(self.answer(b""), b'{"unique_words":[],"word_count":0,"length":0,"bytes":0}')

    def test_a_message_without_an_ending_is_told_so(self) -> None:
        self.assertEqual(
            self.answer(b"Hello", terminated=False),
            b'{"unique_words":["Hello"],"word_count":1,"length":5,"bytes":5,"terminated":false}',
        )

    def test_case_is_ignored_if_wanted(self) -> None:
        self.assertEqual(
            self.answer(b"Hello hello", ignore_case=True),
            b'{"unique_words":["Hello"],"word_count":2,"length":11,"bytes":11}',
        )
        self.assertEqual(self.unique_words("Straße STRASSE", ignore_case=True), ["Straße"])

    def test_control_characters_and_a_byte_order_mark_count(self) -> None:
        self.assertEqual(
            self.answer(b"\xef\xbb\xbfa\x00\x1b\r"), b'{"unique_words":["a"],"word_count":1,"length":5,"bytes":7}'
        )

    def test_a_line_feed_in_a_message_is_a_character_like_others(self) -> None:
        self.assertEqual(
            self.answer("one\ntwo\u0308\r\n漢\n".encode()),
            '{"unique_words":["one","two\u0308","漢"],"word_count":3,"length":12,"bytes":15}'.encode(),
        )

    def test_a_word_is_escaped_where_json_wants_it(self) -> None:
        # A quotation mark between two Hebrew letters is part of the word (WB7b), and the halfwidth sound mark is a
        # letter that belongs to what it follows (WB4).
        for word, in_json in (
            ('צה"ל', r"צה\"ל"),
            ("\\\uff9e", "\\\\\\\\\uff9e"[2:]),
            ("\x01\uff9e", "\\u0001\uff9e"),
            ("\t\uff9e", "\\t\uff9e"),
            ("\x1f\uff9e", "\\u001f\uff9e"),
            ("\x7f\uff9e", "\x7f\uff9e"),
        ):
            self.assertIn(f'{{"unique_words":["{in_json}"],"word_count":1,', self.answer(word.encode()).decode())

    def test_a_thousand_unique_words_come_in_order_of_appearance(self) -> None:
        words = [f"word{number}" for number in range(1000)]
        self.assertEqual(self.unique_words(" ".join(words + words[::-1])), words)

    @thoroughly
    @given(st.text().map(str.encode) | st.binary())
    def test_any_message_has_a_reply_of_one_line_of_json(self, message: bytes) -> None:
        reply = self.answer(message)
        self.assertEqual(len(reply.splitlines()), 1)
        says = json.loads(reply.decode())
        try:
            text = message.decode()
        except UnicodeDecodeError as error:
            self.assertEqual((says["error"], says["offset"]), ("not-utf-8", error.start))
        else:
            self.assertEqual({"counts": None, **says}, asdict(analyze(text)))


class CountsTests(EngineTestCase):
    def test_a_reply_says_how_often_each_unique_word_occurs_if_wanted(self) -> None:
        self.assertEqual(
            self.answer(b"the fox and the hen and the dog", counts=True),
            b'{"unique_words":["the","fox","and","hen","dog"],"word_count":8,"length":31,"bytes":31,"counts":[3,1,2,1,1]}',
        )

    def test_a_message_without_words_has_no_counts_and_says_so(self) -> None:
        self.assertEqual(
            self.answer(b"-", counts=True), b'{"unique_words":[],"word_count":0,"length":1,"bytes":1,"counts":[]}'
        )

    def test_words_that_are_one_are_counted_together(self) -> None:
        for text, ignore_case, counts in (
            ("caf\u00e9 cafe\u0301 cafe", False, [2, 1]),
            ("Hello HELLO world hello", True, [3, 1]),
            ("สวัสดี a สวัสดี", False, [2, 1]),
        ):
            says = json.loads(self.answer(text.encode(), ignore_case=ignore_case, counts=True))
            self.assertEqual(says["counts"], counts)

    def test_a_message_without_an_ending_has_them_too(self) -> None:
        self.assertEqual(
            self.answer(b"a a", counts=True, terminated=False),
            b'{"unique_words":["a"],"word_count":2,"length":3,"bytes":3,"counts":[2],"terminated":false}',
        )

    @thoroughly
    @given(st.text("aAbé\u0301 你ไ").map(str.encode), st.booleans())
    def test_they_add_up_to_the_word_count(self, message: bytes, ignore_case: bool) -> None:
        says = json.loads(self.answer(message, ignore_case=ignore_case, counts=True))
        self.assertEqual(sum(says["counts"]), says["word_count"])
        self.assertEqual(len(says["counts"]), len(says["unique_words"]))


class LinesTests(EngineTestCase):
    """Many messages are answered as each of them is."""

    def test_each_reply_has_the_ending_of_its_message(self) -> None:
        for message in (b"Hello", "ไทย".encode(), b"\xff"):
            for endings in ([b"\n"], [b"\n"] * 3, [b"\r\n"], [b"\r\n"] * 3, [b"\n", b"\r\n", b"\n"]):
                lines = b"".join(message + ending for ending in endings)
                self.assertEqual(
                    self.engine.answer_lines(lines), b"".join(self.answer(message) + ending for ending in endings)
                )

    def test_a_carriage_return_before_the_ending_is_of_the_message(self) -> None:
        for message in "Hello\r", "你好\r", "ไทย\r":
            lines = f"{message}\r\n".encode() * 2
            self.assertEqual(self.engine.answer_lines(lines), (self.answer(message.encode()) + b"\r\n") * 2)

    def test_words_that_are_equivalent_are_one_in_lines_that_come_together_too(self) -> None:
        # Each of the last three lines is in one normal form by itself, and not together with the one before it.
        for lines in (
            ["caf\u00e9 cafe\u0301", "cafe\u0301 caf\u00e9"],
            ["one", "caf\u00e9 cafe\u0301 \u00e9", "two"],
            ["\u0916\u093c \u0959 \u0916\u093c", "\u0959"],
            ["caf\u00e9", "cafe\u0301", "caf\u00e9"],
        ):
            for ignore_case, counts in product((False, True), repeat=2):
                self.assert_as_each(lines, ignore_case, counts)
        together = self.engine.answer_lines("caf\u00e9 cafe\u0301\ncafe\u0301 caf\u00e9\n".encode())
        self.assertEqual(
            [json.loads(reply)["unique_words"] for reply in together.splitlines()], [["caf\u00e9"], ["cafe\u0301"]]
        )

    def test_lines_in_hindi_are_cut_together_as_each_of_them_is(self) -> None:
        lines = ["नमस्ते दुनिया", "तेज़ भूरी लोमड़ी 32.3 फ़ुट नहीं कूद सकती, है ना? लोमड़ी।", "क्या हाल है?", "नमस्ते नमस्ते"]
        for ignore_case, counts in product((False, True), repeat=2):
            self.assert_as_each(lines, ignore_case, counts)
            self.assert_as_each([*lines, "one", "", "สวัสดีชาวโลก", *lines], ignore_case, counts)
        together = self.engine.answer_lines("".join(f"{line}\n" for line in lines).encode())
        self.assertEqual(
            [json.loads(reply)["unique_words"] for reply in together.splitlines()],
            [
                ["नमस्ते", "दुनिया"],
                ["तेज़", "भूरी", "लोमड़ी", "32.3", "फ़ुट", "नहीं", "कूद", "सकती", "है", "ना"],
                ["क्या", "हाल", "है"],
                ["नमस्ते"],
            ],
        )

    def test_a_line_may_be_longer_than_the_default_limit_whatever_else_comes_with_it(self) -> None:
        # Whoever calls has looked at the lengths.
        long = b"x" * 100_000
        for lines in ([long + b"\r\n"], [long + b"\r\n", b"one\n"], [b"\xff\n", long + b"\n"], [long + b"\xff\r\n"]):
            replies = self.engine.answer_lines(b"".join(lines)).splitlines(keepends=True)
            for line, reply in zip(lines, replies, strict=True):
                message, ending = split_ending(line)
                self.assertEqual(reply, self.answer(message, max_length=2**20) + ending)

    def assert_as_each(self, lines: list[str], ignore_case: bool, counts: bool) -> None:
        together = self.engine.answer_lines("".join(f"{line}\n" for line in lines).encode(), ignore_case, counts)
        each = [self.answer(line.encode(), ignore_case=ignore_case, counts=counts) + b"\n" for line in lines]
        self.assertEqual(together, b"".join(each))

    def test_no_lines_have_no_replies(self) -> None:
        self.assertEqual(self.engine.answer_lines(b""), b"")

    def test_what_is_no_whole_line_is_refused(self) -> None:
        for lines in (b"one", b"one\ntwo", b"one\r"):
            self.assertRaises(ValueError, self.engine.answer_lines, lines)

    def test_replies_of_any_length_come_together(self) -> None:
        lines = [b"x" * 2**length for length in range(18)] + [b"a b " * 2**length for length in range(16)]
        self.assertEqual(
            self.engine.answer_lines(b"\n".join([*lines, b""])),
            b"".join(self.answer(line, max_length=2**20) + b"\n" for line in lines),
        )

    @thoroughly
    @given(st.lists(st.tuples(messages, endings), min_size=1), st.booleans(), st.booleans())
    def test_any_mix_of_them(self, pairs: list[tuple[bytes, bytes]], ignore_case: bool, counts: bool) -> None:
        # A carriage return before a line feed belongs to the ending, and no message has it.
        pairs = [(message.rstrip(b"\r") if ending == b"\n" else message, ending) for message, ending in pairs]
        self.assertEqual(
            self.engine.answer_lines(b"".join(message + ending for message, ending in pairs), ignore_case, counts),
            b"".join(
                self.answer(message, ignore_case=ignore_case, counts=counts) + ending for message, ending in pairs
            ),
        )


class RefusalTests(EngineTestCase):
    def assert_refusal(self, line: bytes, **members: Any) -> None:
        """``line`` says in one sentence why there is no analysis, and has ``members`` besides, and no others."""
        says = json.loads(line)
        self.assertRegex(says.pop("detail"), r"\A[A-Z][^.]+\.\Z")
        self.assertEqual(says, members)

    def test_a_message_may_have_the_maximum_length_and_no_more(self) -> None:
        self.assertEqual(decode(self.answer(b"four", max_length=4)), Reply(["four"], word_count=1, length=4, bytes=4))
        self.assert_refusal(self.answer(b"fiver", max_length=4), error="too-long", limit=4)

    def test_a_message_may_have_as_many_bytes_as_the_caller_says(self) -> None:
        self.assertIsInstance(decode(self.answer(b"-" * 65537)), Reply)
        self.assertIsInstance(decode(self.answer(b"-" * 6, max_length=6)), Reply)
        self.assert_refusal(self.answer(b"-" * 7, max_length=6), error="too-long", limit=6)

    def test_the_length_is_in_bytes(self) -> None:
        self.assert_refusal(self.answer("ééé".encode(), max_length=5), error="too-long", limit=5)

    def test_the_length_is_looked_at_first(self) -> None:
        self.assert_refusal(self.answer(b"\xff" * 5, max_length=4), error="too-long", limit=4)

    def test_what_is_not_utf_8_is_refused_with_the_offset_of_the_first_bad_byte(self) -> None:
        for message, offset in (
            (b"\xff", 0),
            (b"ab\x80c\xff", 2),  # a continuation byte with nothing to continue
            (b"caf\xc3", 3),  # ends within a character
            (b"a\xe2\x82 b", 1),  # a character ends too early
            (b"\xc3\xa9\xc0\x80", 2),  # NUL in two bytes
            (b"a\xe0\x80\xafb", 1),  # a slash in three
            (b"a\xf0\x80\x80\xafb", 1),  # and in four
            (b"a\xed\xa0\x80", 1),  # a surrogate
            (b"a\xf4\x90\x80\x80", 1),  # above U+10FFFF
            (b"a\xf8\x88\x80\x80\x80", 1),  # five bytes
            (b"a b\xe2\x82", 3),
            (b"a b\xf0\x9f\x91", 3),
        ):
            self.assert_refusal(self.answer(message), error="not-utf-8", offset=offset)
            (line, one) = self.engine.answer_lines(message + b"\none\n").splitlines()
            self.assert_refusal(line, error="not-utf-8", offset=offset)
            self.assertEqual(decode(one), Reply(["one"], word_count=1, length=3, bytes=3))

    def test_a_message_without_an_ending_is_told_so(self) -> None:
        self.assert_refusal(self.answer(b"\xff", terminated=False), error="not-utf-8", offset=0, terminated=False)
        self.assert_refusal(
            self.answer(b"fiver", max_length=4, terminated=False), error="too-long", limit=4, terminated=False
        )

    def test_the_code_comes_first_and_the_reason_second(self) -> None:
        self.assertEqual(list(json.loads(self.answer(b"\xff"))), ["error", "detail", "offset"])
        self.assertIsInstance(decode(self.answer(b"\xff")), Refusal)


replace_by_each_engine(globals(), ReplyTests, CountsTests, LinesTests, RefusalTests)
del EngineTestCase


# What a character stands between in the lines that try every one of them.
_AROUND = ["", " ", "  ", " a", "a 1", "1 a.", "b -", ' א"', "ב _", "\u200d❤ "]


# It takes a while to find them, which is not to be spent by who runs other tests.
characters = st.deferred(lambda: st.sampled_from(representatives()))


class EqualityTests(NativeTestCase, SynchronousTestCase):
    """The native kernel answers what the Python engine does."""

    def assert_equal(self, lines: list[str], *parameters: bool) -> None:
        assert NATIVE is not None
        whole = "".join(f"{line}\n" for line in lines).encode()
        native, python = (engine.answer_lines(whole, *parameters).splitlines() for engine in (NATIVE, PYTHON))
        self.assertEqual(len(native), len(python))
        different = [line for line, one, other in zip(lines, native, python, strict=True) if one != other]
        self.assertEqual([ascii(line) for line in different if not FAULTS.search(line)], [])

    def test_to_every_line_of_unicodes_own_tests(self) -> None:
        for file in (make_tables.FILES / "WordBreakTest.txt", *make_tables.HERE.glob("WordBreakTest-*.txt")):
            self.assert_equal(["".join(case).replace("\n", "") for case in word_break_tests(file)], False, True)

    def test_to_every_character_wherever_it_stands(self) -> None:
        characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and code != 0x0A]
        unassigned = [character for character in characters if category(character) in ("Cn", "Co")]
        ideographs = [character for character in characters if name(character, "").startswith("CJK")]
        others = sorted({*characters}.difference(unassigned, ideographs))
        self.assert_equal(["a".join(unassigned[start : start + 1000]) for start in range(0, len(unassigned), 1000)])
        self.assert_equal(["a" + character for character in ideographs])
        self.assert_equal([character.join(_AROUND) for character in others])

    def test_to_any_two_kinds_of_characters_side_by_side(self) -> None:
        characters = [character for character in representatives() if character != "\n"]
        self.assert_equal([f"{one}{other} a  {one}{other}" for one, other in product(characters, repeat=2)])

    @settings(deadline=None, derandomize=True, max_examples=1000)
    @given(
        st.lists(st.text(characters | st.sampled_from("aA1. '\"e\u0301\u200d❤"), max_size=12)),
        st.booleans(),
        st.booleans(),
    )
    def test_to_any_text_of_characters_of_every_kind(self, texts: list[str], ignore_case: bool, counts: bool) -> None:
        self.assert_equal([text.replace("\n", "") for text in texts], ignore_case, counts)
