"""Each line of the tables of docs/words.rst, run; the unique words are those that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from unicodedata import category, is_normalized

from icu4py.breakers import WordBreaker
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.engines import PYTHON, pieces, replace_by_each_engine
from tests.furniture.snippets import ROOT
from wordecho.wire.engine import Engine

PAGE = (ROOT / "docs" / "words.rst").read_text()

_TABLE = re.compile(r"^\.\. csv-table:: (.*)\n(?:   :.*\n)+\n((?:   .*\n)+)", re.MULTILINE)


def visible(literal: str) -> str:
    """Return the text that ``literal`` stands for, which must hide no character."""
    assert is_normalized("NFC", literal), literal
    assert not [each for each in literal if each != " " and category(each) in ("Cf", "Zs")], literal
    return re.sub(r"\{U\+([0-9A-F]{4,})\}", lambda code: chr(int(code[1], 16)), literal)


def rows() -> Iterator[tuple[str, bool, list[str]]]:
    """Yield each message of the tables, whether it is one for ``--ignore-case``, and its unique words."""
    for title, body in _TABLE.findall(PAGE):
        for row in body.splitlines():
            message, words, why = row.strip().split(" | ")
            literals = [visible(literal) for literal in re.findall("``(.+?)``", words)]
            assert (words == "none" or re.fullmatch("``.+?``( ``.+?``)*", words)) and why, row
            assert re.fullmatch("``((?!``).)+``", message), row
            yield visible(message[2:-2]), "--ignore-case" in title, literals


class PageTests(SynchronousTestCase):
    engine: Engine

    def test_the_unique_words_are_those_that_the_page_shows(self) -> None:
        found = list(rows())
        self.assertEqual((len(found), sum(ignore_case for _, ignore_case, _ in found)), (73, 7))
        for message, ignore_case, words in found:
            answer = json.loads(self.engine.answer(message.encode(), ignore_case=ignore_case))
            self.assertEqual(answer["unique_words"], words, message)

    def test_the_python_engine_alone_has_the_faults_that_the_page_tells(self) -> None:
        first = ["so", ".\u200d❤"], ["so.\u200d❤"]
        second = ["\u200d\u2139\u0661"], ["\u200d\u2139", "\u0661"]
        for right, faulty in (first, second):
            found = [piece for piece, _ in pieces(self.engine, "".join(right))]
            self.assertEqual(found, faulty if self.engine is PYTHON else right)


replace_by_each_engine(globals(), PageTests)


class IcuTests(SynchronousTestCase):
    def test_icu_by_itself_cuts_as_the_page_says(self) -> None:
        for text, cut in [
            ("ราคา100บาท", ["ราคา100บาท"]),
            ("iPhoneรุ่น", ["iPhoneรุ่น"]),
            ("iPhone을 3월", ["iPhone", "을", " ", "3", "월"]),
            ("iPhone\u110b\u1173\u11af", ["iPhone\u110b\u1173\u11af"]),
            ("て\u3099す", ["て\u3099", "す"]),
        ]:
            self.assertEqual(list(WordBreaker(text, "und")), cut)

    def test_each_table_of_the_page_is_read(self) -> None:
        self.assertEqual(len(_TABLE.findall(PAGE)), PAGE.count("csv-table::"))
