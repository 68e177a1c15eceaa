"""Which reply is whose: each question gets the answer to it or an error, whatever the server sends."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from wordecho.wire import Refusal, Reply
from wordecho.wire.python_engine import answer
from wordecho.wire.questions import Answer, ClientError, NotWordEchoError, Questions, ServerGoneError, fell_silent

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
THREE = b'{"unique_words":["three"],"word_count":1,"length":5,"bytes":5}'
REFUSAL = b'{"error":"not-utf-8","detail":"No.","offset":0}'


class QuestionsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.questions: Questions[str] = Questions()

    def ask(self, *messages: bytes) -> None:
        """Ask each of ``messages``; the askers have letters for names, from A on."""
        for number, message in enumerate(messages):
            self.questions.ask(message, "ABCDEFG"[number])


class AnswerTests(QuestionsTestCase):
    def test_replies_come_in_the_order_of_the_questions(self) -> None:
        self.ask(b"three", b"one", b"\xff")
        self.assertEqual(self.questions.answer(THREE), ("A", Answer(Reply(["three"], 1, 5, 5), THREE)))
        self.assertEqual(self.questions.answer(ONE), ("B", Answer(Reply(["one"], 1, 3, 3), ONE)))
        self.assertEqual(self.questions.answer(REFUSAL), ("C", Answer(Refusal("not-utf-8", "No.", offset=0), REFUSAL)))

    def test_what_is_due_is_counted(self) -> None:
        self.assertEqual(len(self.questions), 0)
        self.ask(b"one", b"one")
        self.assertEqual(len(self.questions), 2)
        self.questions.answer(ONE)
        self.assertEqual(len(self.questions), 1)

    def test_a_refusal_of_a_kind_that_is_not_known_is_one_of_the_message(self) -> None:
        self.ask(b"one")
        asker, answer = self.questions.answer(b'{"error":"no-such-code","detail":""}')
        self.assertEqual((asker, answer.reply), ("A", Refusal("no-such-code", "")))

    def test_a_message_has_no_line_feed_in_it(self) -> None:
        with self.assertRaises(ValueError):
            self.ask(b"one\n")
        self.assertEqual(len(self.questions), 0)


class WrongLineTests(QuestionsTestCase):
    """A line that cannot be believed is nobody's answer."""

    def assert_refused(self, line: bytes, kind: type[ClientError], sentence: str) -> None:
        due = len(self.questions)
        error = self.assertRaises(ClientError, self.questions.answer, line)
        self.assertEqual((type(error), str(error), len(self.questions)), (kind, sentence, due))

    def test_a_line_that_is_no_reply(self) -> None:
        self.ask(b"one")
        for line in b"one", b"", b"{}", b"HTTP/1.1 400 Bad Request" + b"!" * 100:
            self.assert_refused(
                line, NotWordEchoError, f"what answered is not a wordecho server: it sent {line[:40]!r}."
            )

    def test_a_reply_to_as_many_bytes_as_were_not_sent(self) -> None:
        self.ask("né".encode())
        line = '{"unique_words":["né"],"word_count":1,"length":2,"bytes":2}'.encode()
        sentence = "what answered is not a wordecho server: it replied to 2 bytes when 3 were sent."
        self.assert_refused(line, NotWordEchoError, sentence)

    def test_a_reply_that_nobody_waits_for(self) -> None:
        sentence = f"what answered is not a wordecho server: it sent {ONE[:40]!r} when no reply was due."
        self.assert_refused(ONE, NotWordEchoError, sentence)

    def test_a_farewell_replies_to_no_message(self) -> None:
        for code in b"idle-timeout", b"too-many-connections":
            farewell = b'{"error":"%s","detail":"Go."}' % code
            self.assert_refused(farewell, ServerGoneError, "the server closes the connection: Go.")
        self.ask(b"one")
        self.assert_refused(farewell, ServerGoneError, "the server closes the connection: Go.")


class EndTests(QuestionsTestCase):
    def assert_over(self, sentence: str) -> None:
        due = len(self.questions)
        self.assertFalse(self.questions.is_open)
        error = self.assertRaises(ServerGoneError, self.questions.ask, b"one", "Z")
        self.assertEqual((str(error), len(self.questions)), (sentence, due))

    def test_nothing_can_be_asked_after_an_error_and_the_first_error_stays(self) -> None:
        self.assertTrue(self.questions.is_open)
        self.ask(b"one")
        self.questions.give_up(ServerGoneError("first."))
        self.questions.give_up(ServerGoneError("second."))
        self.questions.lose(ServerGoneError("third."))
        self.assert_over("first.")
        self.assertEqual(str(self.questions.error), "first.")

    def test_nothing_can_be_asked_once_it_is_closed(self) -> None:
        self.questions.close()
        self.assert_over("the connection is closed.")
        self.assertIsNone(self.questions.error)

    def test_a_connection_that_is_lost_unasked_is_lost_by_an_error(self) -> None:
        self.questions.lose(ServerGoneError("lost."))
        self.assert_over("lost.")

    def test_a_connection_that_was_closed_is_lost_without_an_error_when_all_is_answered(self) -> None:
        self.ask(b"one")
        self.questions.close()
        self.questions.answer(ONE)
        self.questions.lose(ServerGoneError("lost."))
        self.assertIsNone(self.questions.error)

    def test_what_is_due_when_it_is_closed_fails_because_it_was(self) -> None:
        self.ask(b"one")
        self.questions.close()
        self.questions.lose(ServerGoneError("lost."))
        self.assertEqual(str(self.questions.error), "the connection is closed.")

    def test_those_who_still_wait_are_given_back_once(self) -> None:
        self.ask(b"one", b"two", b"three")
        self.questions.answer(ONE)
        self.assertEqual(list(self.questions.abandon()), ["B", "C"])
        self.assertEqual(list(self.questions.abandon()), [])

    def test_to_ask_again_and_again_after_the_end_costs_no_memory(self) -> None:
        self.questions.give_up(ServerGoneError("lost."))
        for _ in range(10):
            error = self.assertRaises(ServerGoneError, self.questions.ask, b"one", "Z")
        length = 0
        traceback = error.__traceback__
        while traceback:
            length, traceback = length + 1, traceback.tb_next
        self.assertLess(length, 5)

    def test_a_silence_is_told_with_what_was_due(self) -> None:
        sentence = "the server fell silent: nothing came for {} seconds while {} due."
        self.assertEqual(str(fell_silent(10, 1)), sentence.format(10, "1 reply was"))
        self.assertEqual(str(fell_silent(0.5, 2)), sentence.format(0.5, "2 replies were"))

    def test_a_reply_that_drips_is_told_as_what_it_is(self) -> None:
        sentence = "the server is too slow: no more than 9 bytes of a reply came in 10 seconds while 1 reply was due."
        self.assertEqual(str(fell_silent(10, 1, 9)), sentence)


class LengthTests(QuestionsTestCase):
    """A reply has at most 32 octets for each of its message, and 16 384 besides."""

    def assert_most(self, most: int, asked: int) -> None:
        self.questions.check_length(most)
        error = self.assertRaises(NotWordEchoError, self.questions.check_length, most + 1)
        sentence = f"what answered is not a wordecho server: it sent more than {most} bytes in reply to {asked}."
        self.assertEqual(str(error), sentence)

    def test_it_goes_by_the_message_whose_reply_is_due_next(self) -> None:
        self.assert_most(16_384, 0)
        self.ask(b"one", b"x" * 65_536)
        self.assert_most(16_480, 3)
        self.questions.answer(ONE)
        self.assert_most(2_113_536, 65_536)

    def test_a_reply_as_long_as_that_is_taken_whatever_is_in_it_and_no_longer_one(self) -> None:
        self.ask(b"one", b"one")
        line = ONE[:-1] + b',"new":"' + b"x" * 16_411 + b'"}'
        self.assertEqual(len(line), 16_480)
        self.assertEqual(self.questions.answer(line)[1].reply, Reply(["one"], 1, 3, 3))
        self.assertRaises(NotWordEchoError, self.questions.answer, line + b" ")

    def test_the_longest_replies_that_the_contract_allows_are_well_within_it(self) -> None:
        for text in ("a ", "a\x01", "é ", "\N{MATHEMATICAL BOLD SMALL A} ", "漢"):
            message = (text * 8192).encode()
            self.questions.ask(message, "A")
            reply = json.loads(answer(message, counts=True))
            # As many distinct words as there are words at all, and everything escaped and spaced as JSON may be.
            reply["unique_words"] = reply["unique_words"] * reply["word_count"]
            reply["counts"] = [1] * reply["word_count"]
            line = json.dumps(reply).encode()
            self.assertGreater(len(line), 3 * len(message))
            self.assertLess(len(line), 16 * len(message))
            self.assertEqual(self.questions.answer(line)[0], "A")
