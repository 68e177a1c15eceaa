"""What is promised on the wire: the bytes of each reply, and what a receiver makes of them."""

from __future__ import annotations

import contextlib  # "suppress" at the top of a module is an instruction to trial
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from twisted.trial.unittest import SynchronousTestCase

from wordecho import wire
from wordecho.analysis import analyze
from wordecho.wire import Refusal, Reply, answer, decode, encode

thoroughly = settings(deadline=None, derandomize=True)

counts = st.integers(0, 2**63)
replies = st.builds(Reply, st.lists(st.text()), counts, counts, counts, terminated=st.booleans())
refusals = st.builds(
    Refusal,
    error=st.text(),
    detail=st.text(),
    limit=st.none() | counts | st.floats(allow_nan=False, allow_infinity=False),
    offset=st.none() | counts,
    terminated=st.booleans(),
)

# Runs of messages of one kind come by another way than a mix.
_TEXTS = [st.text("ab \r"), st.text("ab éЖ\u0301\r"), st.text("ab 你好のไทย \r"), st.text()]
messages = st.one_of(*_TEXTS).map(lambda text: text.replace("\n", "").encode()) | st.just(b"\xff")

A_REPLY = b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":1}'


class ReplyTests(SynchronousTestCase):
    def test_a_reply_has_the_unique_words_and_the_counts(self) -> None:
        self.assertEqual(
            answer(b"Hello, world hello world"),
            b'{"unique_words":["Hello","world","hello"],"word_count":4,"length":24,"bytes":24}',
        )

    def test_length_is_in_characters_and_bytes_in_octets(self) -> None:
        self.assertEqual(
            answer("naïve 👍".encode()), '{"unique_words":["naïve"],"word_count":1,"length":7,"bytes":11}'.encode()
        )

    def test_an_empty_message_has_a_reply(self) -> None:
        self.assertEqual(answer(b""), b'{"unique_words":[],"word_count":0,"length":0,"bytes":0}')

    def test_a_message_without_an_ending_is_told_so(self) -> None:
        self.assertEqual(
            answer(b"Hello", terminated=False),
            b'{"unique_words":["Hello"],"word_count":1,"length":5,"bytes":5,"terminated":false}',
        )

    def test_case_is_ignored_if_wanted(self) -> None:
        self.assertEqual(
            answer(b"Hello hello", ignore_case=True),
            b'{"unique_words":["Hello"],"word_count":2,"length":11,"bytes":11}',
        )

    def test_control_characters_and_a_byte_order_mark_count(self) -> None:
        self.assertEqual(
            answer(b"\xef\xbb\xbfa\x00\x1b\r"), b'{"unique_words":["a"],"word_count":1,"length":5,"bytes":7}'
        )

    def test_what_would_end_the_line_or_the_string_is_escaped(self) -> None:
        reply = Reply(['"\n\r\\\x00\x1f'], word_count=1, length=6, bytes=6)
        self.assertEqual(
            encode(reply), rb'{"unique_words":["\"\n\r\\\u0000\u001f"],"word_count":1,"length":6,"bytes":6}'
        )

    @thoroughly
    @given(st.text().map(str.encode) | st.binary())
    def test_any_message_has_a_reply_of_one_line_of_json(self, message: bytes) -> None:
        reply = answer(message)
        self.assertEqual(len(reply.splitlines()), 1)
        says = json.loads(reply.decode())
        try:
            text = message.decode()
        except UnicodeDecodeError as error:
            self.assertEqual((says["error"], says["offset"]), ("not-utf-8", error.start))
        else:
            self.assertEqual(says, asdict(analyze(text)))


class LinesTests(SynchronousTestCase):
    """Many messages are answered as each of them is."""

    def test_each_reply_has_the_ending_of_its_message(self) -> None:
        for endings in ([b"\n"], [b"\n"] * 3, [b"\r\n"], [b"\r\n"] * 3, [b"\n", b"\r\n", b"\n"]):
            lines = b"".join(b"Hello" + ending for ending in endings)
            self.assertEqual(wire.answer_lines(lines), b"".join(answer(b"Hello") + ending for ending in endings))

    def test_a_carriage_return_before_the_ending_is_of_the_message(self) -> None:
        for message in "Hello\r", "你好\r", "ไทย\r":
            lines = f"{message}\r\n".encode() * 2
            self.assertEqual(wire.answer_lines(lines), (answer(message.encode()) + b"\r\n") * 2)

    @thoroughly
    @given(st.lists(st.tuples(messages, st.sampled_from([b"\n", b"\r\n"])), min_size=1), st.booleans())
    def test_any_mix_of_them(self, pairs: list[tuple[bytes, bytes]], ignore_case: bool) -> None:
        # A carriage return before a line feed belongs to the ending, and no message has it.
        pairs = [(message.rstrip(b"\r") if ending == b"\n" else message, ending) for message, ending in pairs]
        self.assertEqual(
            wire.answer_lines(b"".join(message + ending for message, ending in pairs), ignore_case),
            b"".join(answer(message, ignore_case=ignore_case) + ending for message, ending in pairs),
        )


class RefusalTests(SynchronousTestCase):
    def assert_refusal(self, line: bytes, **members: Any) -> None:
        """``line`` says in one sentence why there is no analysis, and has ``members`` besides, and no others."""
        says = json.loads(line)
        self.assertRegex(says.pop("detail"), r"\A[A-Z][^.]+\.\Z")
        self.assertEqual(says, members)

    def test_a_message_may_have_the_maximum_length_and_no_more(self) -> None:
        self.assertEqual(decode(answer(b"four", max_length=4)), Reply(["four"], word_count=1, length=4, bytes=4))
        self.assert_refusal(answer(b"fiver", max_length=4), error="too-long", limit=4)

    def test_the_maximum_length_is_65536_bytes_unless_told(self) -> None:
        self.assertIsInstance(decode(answer(b"-" * 65536)), Reply)
        self.assert_refusal(answer(b"-" * 65537), error="too-long", limit=65536)

    def test_the_length_is_in_bytes(self) -> None:
        self.assert_refusal(answer("ééé".encode(), max_length=5), error="too-long", limit=5)

    def test_the_length_is_looked_at_first(self) -> None:
        self.assert_refusal(answer(b"\xff" * 5, max_length=4), error="too-long", limit=4)

    def test_what_is_not_utf_8_is_refused_with_the_offset_of_the_first_bad_byte(self) -> None:
        for message, offset in (
            (b"\xff", 0),
            (b"ab\x80c\xff", 2),  # a continuation byte with nothing to continue
            (b"caf\xc3", 3),  # ends within a character
            (b"a\xe2\x82 b", 1),  # a character ends too early
            (b"\xc3\xa9\xc0\x80", 2),  # NUL in two bytes
            (b"a\xe0\x80\xafb", 1),  # a slash in three
            (b"a\xed\xa0\x80", 1),  # a surrogate
            (b"a\xf4\x90\x80\x80", 1),  # above U+10FFFF
            (b"a\xf8\x88\x80\x80\x80", 1),  # five bytes
        ):
            self.assert_refusal(answer(message), error="not-utf-8", offset=offset)

    def test_a_message_without_an_ending_is_told_so(self) -> None:
        self.assert_refusal(answer(b"\xff", terminated=False), error="not-utf-8", offset=0, terminated=False)
        self.assert_refusal(
            answer(b"fiver", max_length=4, terminated=False), error="too-long", limit=4, terminated=False
        )

    def test_silence_is_refused_with_the_seconds_it_may_last(self) -> None:
        self.assert_refusal(encode(wire.idle_timeout(300)), error="idle-timeout", limit=300)

    def test_a_connection_too_many_is_refused_with_how_many_there_may_be(self) -> None:
        self.assert_refusal(encode(wire.too_many_connections(10000)), error="too-many-connections", limit=10000)

    def test_the_code_comes_first_and_the_reason_second(self) -> None:
        self.assertEqual(list(json.loads(answer(b"\xff"))), ["error", "detail", "offset"])


class ReceiverTests(SynchronousTestCase):
    def test_what_has_the_member_error_is_an_error_whatever_else_it_has(self) -> None:
        line = b'{"unique_words":[],"word_count":0,"length":0,"bytes":0,"error":"x","detail":"y"}'
        self.assertEqual(decode(line), Refusal("x", "y"))

    def assert_no_replies(self, *lines: bytes) -> None:
        taken = []
        for line in lines:
            with contextlib.suppress(ValueError):
                taken.append((line, decode(line)))
        self.assertEqual(taken, [])

    @thoroughly
    @given(replies | refusals)
    def test_what_was_encoded_is_decoded_again(self, reply: Reply | Refusal) -> None:
        self.assertEqual(decode(encode(reply)), reply)

    def test_an_analysis_is_decoded_as_a_reply(self) -> None:
        self.assertEqual(decode(encode(analyze("a b a"))), Reply(["a", "b"], word_count=3, length=5, bytes=5))

    def test_members_may_come_in_any_order(self) -> None:
        self.assertEqual(
            decode(b' {"bytes": 1, "length": 1, "word_count": 1, "unique_words": ["a"]}'),
            Reply(["a"], word_count=1, length=1, bytes=1),
        )

    def test_unknown_members_are_ignored(self) -> None:
        self.assertEqual(decode(A_REPLY[:-1] + b',"language":{"is":["en"]}}'), decode(A_REPLY))
        self.assertEqual(
            decode(b'{"error":"too-long","detail":"No.","limit":4,"wait":1.5}'), Refusal("too-long", "No.", limit=4)
        )

    def test_unknown_codes_are_refusals(self) -> None:
        self.assertEqual(decode(b'{"error":"tea-time","detail":"No."}'), Refusal("tea-time", "No."))

    def test_what_is_no_json_is_no_reply(self) -> None:
        self.assert_no_replies(b"", b"HTTP/1.1 400 Bad Request", b"{", A_REPLY[:-1], A_REPLY + b"{}", b"\x00", b"\xff")

    def test_what_is_no_object_is_no_reply(self) -> None:
        self.assert_no_replies(b"null", b"true", b"1", b'"a"', b"[]", b"[" + A_REPLY + b"]")

    def test_an_object_without_the_members_of_either_is_no_reply(self) -> None:
        self.assert_no_replies(b"{}", b'{"unique_words":["a"],"word_count":1,"length":1}', b'{"error":"too-long"}')

    def test_a_member_of_another_type_makes_it_no_reply(self) -> None:
        self.assert_no_replies(
            b'{"unique_words":"a","word_count":1,"length":1,"bytes":1}',
            b'{"unique_words":[1],"word_count":1,"length":1,"bytes":1}',
            b'{"unique_words":["a"],"word_count":"1","length":1,"bytes":1}',
            b'{"unique_words":["a"],"word_count":1,"length":1.5,"bytes":1}',
            b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":null}',
            b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":1,"terminated":0}',
            b'{"error":1,"detail":"No."}',
            b'{"error":"too-long","detail":null}',
            b'{"error":"too-long","detail":"No.","limit":"4"}',
            b'{"error":"not-utf-8","detail":"No.","offset":1.5}',
        )

    def test_a_count_below_nothing_makes_it_no_reply(self) -> None:
        self.assert_no_replies(
            b'{"unique_words":["a"],"word_count":-1,"length":1,"bytes":1}',
            b'{"unique_words":["a"],"word_count":1,"length":-1,"bytes":1}',
            b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":-1}',
            b'{"error":"not-utf-8","detail":"No.","offset":-1}',
        )

    def test_bytes_that_are_not_utf_8_make_it_no_reply(self) -> None:
        self.assert_no_replies(
            b'{"unique_words":["\xff"],"word_count":1,"length":1,"bytes":1}',
            b'{"unique_words":["\xed\xa0\x80"],"word_count":1,"length":1,"bytes":1}',
            b'{"error":"too-long","detail":"\xff"}',
        )

    def test_json_too_deep_to_read_is_no_reply(self) -> None:
        self.assert_no_replies(b"[" * 100_000, b'{"a":' * 100_000, b'{"unique_words":' + b"[" * 100_000)
