"""What the command prints and complains of, and the exit status that comes of it."""

from __future__ import annotations

import errno
import io
import json
import os
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.outputs import Output
from wordecho.client import Answer, NotWordEchoError, ServerGoneError, printing
from wordecho.client.printing import Printer, printable
from wordecho.wire import Refusal, Reply


class PrintableTests(SynchronousTestCase):
    @settings(deadline=None, derandomize=True)
    @given(st.text(st.characters(exclude_characters='"\\') | st.characters(categories=["Cc", "Cf"])))
    @example("\x00\x1f\x7f\x80\x9f")
    def test_all_text_can_be_printed_and_is_written_as_json_writes_it(self, text: str) -> None:
        printed = printable(text)
        self.assertTrue(printed.replace("\u200c", "").replace("\u200d", "").isprintable())
        self.assertEqual(json.loads(f'"{printed}"'), text)


ANSWER = Answer(Reply(["one", "t\x1bwo"], 3, 11, 12), b'{"as": "it came"}')
REFUSAL = Answer(Refusal("not-utf-8", "No\x1b."), b'{"error": "as it came"}')


class PrinterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.complaints = io.StringIO()
        self.patch(sys, "stderr", self.complaints)
        self.output = io.BytesIO()

    def unwritable(self, error: int) -> Output:
        output = Output(error)
        self.addCleanup(output.close)
        return output

    def test_a_reply_is_its_counts_and_its_words(self) -> None:
        printer = Printer(self.output, as_json=False)
        printer.show(ANSWER, 1)
        printer.show(Answer(Reply([], 0, 0, 0), b""), 2)
        printer.show(Answer(Reply(["x"], 1, 1, 1), b""), 3)
        self.assertEqual(
            self.output.getvalue(),
            b"3 words, 2 unique, 11 characters, 12 bytes\none t\\u001bwo\n"
            b"0 words, 0 unique, 0 characters, 0 bytes\n\n"
            b"1 word, 1 unique, 1 character, 1 byte\nx\n",
        )
        self.assertEqual((printer.exit_status, self.complaints.getvalue()), (0, ""))

    def test_a_refusal_is_a_complaint_that_names_the_message(self) -> None:
        printer = Printer(self.output, as_json=False)
        printer.show(REFUSAL, 7)
        printer.show(ANSWER, 8)
        self.assertEqual(self.complaints.getvalue(), "wordecho: message 7 was refused (not-utf-8): No\\u001b.\n")
        self.assertEqual(printer.exit_status, 1)

    def test_json_is_each_line_as_it_came(self) -> None:
        printer = Printer(self.output, as_json=True)
        printer.show(ANSWER, 1)
        printer.show(REFUSAL, 2)
        self.assertEqual(self.output.getvalue(), b'{"as": "it came"}\n{"error": "as it came"}\n')
        self.assertEqual((printer.exit_status, self.complaints.getvalue()), (1, ""))

    def test_a_line_is_there_as_soon_as_it_is_printed(self) -> None:
        reader, writer = os.pipe()
        with open(reader, "rb") as read, open(writer, "wb") as output:
            Printer(output, as_json=True).show(ANSWER, 1)
            self.assertEqual(os.read(read.fileno(), 100), b'{"as": "it came"}\n')

    def test_output_that_is_lost_is_told_once_and_nothing_more_is_printed(self) -> None:
        sentence = "wordecho: cannot write to standard output: No space left on device.\n"
        for number, status, complaint in (errno.ENOSPC, 74, sentence), (errno.EPIPE, 141, ""):
            printer = Printer(self.unwritable(number), as_json=True)
            self.assertNoResult(printer.lost)
            printer.show(ANSWER, 1)
            printer.show(ANSWER, 2)
            self.assertIsNone(self.successResultOf(printer.lost))
            self.assertEqual((printer.exit_status, self.complaints.getvalue()), (status, complaint))
            self.complaints.truncate(0)
            self.complaints.seek(0)

    def test_a_refusal_hides_no_lost_output(self) -> None:
        for answers in ([REFUSAL], [ANSWER, REFUSAL], [REFUSAL, ANSWER]):
            for number, status in (errno.ENOSPC, 74), (errno.EPIPE, 141):
                printer = Printer(self.unwritable(number), as_json=True)
                for answer in answers:
                    printer.show(answer, 1)
                self.assertEqual(printer.exit_status, status)

    def test_what_is_held_for_an_output_that_is_lost_vanishes(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as output:  # to close it would fail again
            Printer(output, as_json=True).show(ANSWER, 1)


class ComplaintTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.complaints = io.StringIO()
        self.patch(sys, "stderr", self.complaints)

    def test_each_error_is_a_sentence_and_its_exit_status(self) -> None:
        self.assertEqual(printing.complain_of_usage(usage.UsageError("One.")), 2)
        self.assertEqual(printing.complain_of_usage(usage.UsageError("Two")), 2)
        self.assertEqual(printing.complain_of(ServerGoneError("three.")), 3)
        self.assertEqual(printing.complain_of(NotWordEchoError("four")), 4)
        self.assertEqual(
            self.complaints.getvalue(),
            "wordecho: One. Try --help.\nwordecho: Two. Try --help.\nwordecho: three.\n"
            "wordecho: what answered is not a wordecho server: four.\n",
        )

    def test_where_there_is_no_standard_error_nothing_is_said(self) -> None:
        output = io.StringIO()
        self.patch(sys, "stderr", None)
        self.patch(sys, "stdout", output)
        printing.complain("no.")
        self.assertEqual(output.getvalue(), "")

    def test_a_standard_error_that_cannot_be_written_fails_nothing(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w", buffering=1) as complaints:  # by lines, as standard error is
            self.patch(sys, "stderr", complaints)
            for _ in range(2):
                printing.complain("no.")
                complaints.flush()
