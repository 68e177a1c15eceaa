"""What is promised on the wire: the bytes of each reply, and what a receiver makes of them."""

from __future__ import annotations

import contextlib  # "suppress" at the top of a module is an instruction to trial
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wordecho import wire
from wordecho.text.analysis import analyze
from wordecho.wire import Refusal, Reply, decode, encode

thoroughly = settings(deadline=None, derandomize=True)

counts = st.integers(0, 2**63)
replies = st.builds(
    Reply,
    st.lists(st.text()),
    *[counts] * 3,
    counts=st.none() | st.lists(counts),
    terminated=st.booleans(),
)
refusals = st.builds(
    Refusal,
    error=st.text(),
    detail=st.text(),
    limit=st.none() | counts | st.floats(allow_nan=False, allow_infinity=False),
    offset=st.none() | counts,
    terminated=st.booleans(),
)

A_REPLY = b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":1}'


class ReplyTests(SynchronousTestCase):
    def test_what_would_end_the_line_or_the_string_is_escaped(self) -> None:
        reply = Reply(['"\n\r\\\x00\x1f'], word_count=1, length=6, bytes=6)
        self.assertEqual(
            encode(reply), rb'{"unique_words":["\"\n\r\\\u0000\u001f"],"word_count":1,"length":6,"bytes":6}'
        )

    def test_counts_stand_before_what_says_that_there_was_no_ending(self) -> None:
        reply = Reply(["a"], word_count=2, length=3, bytes=3, counts=[2], terminated=False)
        self.assertEqual(
            encode(reply),
            b'{"unique_words":["a"],"word_count":2,"length":3,"bytes":3,"counts":[2],"terminated":false}',
        )


class RefusalTests(SynchronousTestCase):
    def assert_refusal(self, line: bytes, **members: Any) -> None:
        """``line`` says in one sentence why there is no analysis, and has ``members`` besides, and no others."""
        says = json.loads(line)
        self.assertRegex(says.pop("detail"), r"\A[A-Z][^.]+\.\Z")
        self.assertEqual(says, members)

    def test_silence_is_refused_with_the_seconds_it_may_last(self) -> None:
        self.assert_refusal(encode(wire.idle_timeout(300)), error="idle-timeout", limit=300)

    def test_a_connection_too_many_is_refused_with_how_many_there_may_be(self) -> None:
        self.assert_refusal(encode(wire.too_many_connections(10000)), error="too-many-connections", limit=10000)


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
            b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":1,"counts":1}',
            b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":1,"counts":["1"]}',
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
            b'{"unique_words":["a"],"word_count":1,"length":1,"bytes":1,"counts":[-1]}',
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
