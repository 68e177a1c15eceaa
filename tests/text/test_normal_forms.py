"""What is promised of words that are written in several ways: by one version of Unicode, under every Python."""

from __future__ import annotations

import json
from typing import Any
from unicodedata import normalize

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.engines import replace_by_each_engine
from unicode.make_tables import rows
from wordecho.text import normal_forms
from wordecho.text.analysis import analyze
from wordecho.text.normal_forms import compose, decompose, fold
from wordecho.text.words import words
from wordecho.wire.engine import Engine

thoroughly = settings(deadline=None, derandomize=True)

# Each row: a text, its NFC and its NFD (columns 1 to 3), its NFKC and its NFKD (4 and 5).
NORMALIZATION_TEST = [
    ["".join(chr(int(code, 16)) for code in column.split()) for column in columns[:5]]
    for columns in rows("NormalizationTest.txt")
    if not columns[0].startswith("@")
]
FOLDINGS = [
    (chr(int(code, 16)), "".join(chr(int(each, 16)) for each in mapping.split()))
    for code, status, mapping, *_ in rows("CaseFolding.txt")
    if status in ("C", "F")
]

# Runs of every dictionary script, with what their normal forms join or move, and other text that has several forms.
_RUNS = (
    "กาำ่ิุ้ ລາວິ່ ខ្មែរ់ မြန်မာ့ိုဿဩ 漢字日本語 ですがぎぱゔヴカガプー゛゜ﾞｶﾊﾟ々 ᥐᦀᨠ᩠ꪀ꪿𑜀𑜫"
    "\u3099\u309a\u0301\u0323\u00ad\u200d\ufe0f\uf900\ufa0e\u2f00\ufa1faé e\u0301 .,_1 क़क\u093c한ᄒ\u1161\u11ab각 "
    "\u1e14\u0344\u0f73\u0f71\u0f72\u1100\u212b\u1ade\U0001e6e3\U000105c9\U000105d2\u0307"
)
texts = st.text(st.sampled_from(_RUNS), max_size=14)

# Marks of many combining classes, letters that are made of others, and what starts anew.
_DECOMPOSING = (
    "aéǖ각한\u1100\u1161\u11a8"
    "\u0301\u0323\u0345\u0327\u05b0\u094d\u3099\u0f71\u0f72\u0f73\u0344\N{MUSICAL SYMBOL SIXTEENTH NOTE}"
    "\N{ZERO WIDTH JOINER}"
)


class FormTests(SynchronousTestCase):
    def test_the_tests_of_unicode_pass(self) -> None:
        self.assertEqual(len(NORMALIZATION_TEST), 20_034)
        failing = [
            row
            for row in NORMALIZATION_TEST
            if [decompose(column) for column in row] != [row[2], row[2], row[2], row[4], row[4]]
        ]
        self.assertEqual(failing, [])

    def test_the_case_foldings_of_unicode_pass(self) -> None:
        self.assertEqual(len(FOLDINGS), 1585)
        self.assertEqual([pair for pair in FOLDINGS if fold(pair[0]) != fold(pair[1])], [])

    @thoroughly
    @given(st.text(st.sampled_from(_DECOMPOSING), max_size=130))
    def test_text_is_decomposed_as_python_does_it(self, text: str) -> None:
        self.assertEqual(decompose(text), normalize("NFD", text))

    def test_every_hangul_syllable_is_decomposed_as_python_does_it(self) -> None:
        for code in range(0xAC00, 0xD7A4):
            self.assertEqual(decompose(chr(code)), normalize("NFD", chr(code)))

    def test_python_never_orders_the_marks_of_a_long_word(self) -> None:
        # Its insertion sort takes time that grows with the square of their number.
        def refuse(form: Any, text: str) -> str:
            raise AssertionError(f"{len(text)} characters are left to Python's own {form}")

        self.patch(normal_forms, "normalize", refuse)
        self.assertEqual(analyze("a" + "\u0301\u0323" * 5000).word_count, 1)

    @thoroughly
    @given(texts)
    def test_a_composed_text_is_python_s_and_says_where_its_characters_begin(self, text: str) -> None:
        composed, begins = compose(text)
        self.assertEqual(composed, normalize("NFC", text))
        self.assertEqual((len(begins), begins[-1]), (len(composed) + 1, len(text)))
        known = [at for at in begins if at >= 0]
        self.assertEqual(known, sorted(set(known)))
        for at, begin in enumerate(begins):
            if begin >= 0:
                self.assertEqual(decompose(composed[:at]), decompose(text[:begin]))


class EquivalentWordTests(SynchronousTestCase):
    """Words that are canonically equivalent are one, wherever they stand."""

    engine: Engine

    def unique_words(self, *texts: str, ignore_case: bool = False) -> list[list[str]]:
        """Return the unique words of each of ``texts``, which arrive together."""
        lines = "".join(f"{text}\n" for text in texts).encode()
        return [json.loads(line)["unique_words"] for line in self.engine.answer_lines(lines, ignore_case).splitlines()]

    def test_text_that_a_dictionary_cuts_is_cut_alike_in_each_form(self) -> None:
        decomposed = normalize("NFD", "です")
        self.assertEqual(self.unique_words(f"です {decomposed} です"), [["です"]])
        self.assertEqual(self.unique_words(f"{decomposed} です"), [[decomposed]])

    def test_marks_in_another_order_make_no_other_word(self) -> None:
        self.assertEqual(self.unique_words("a\u0301\u0323 a\u0323\u0301"), [["a\u0301\u0323"]])
        many = "\u0301\u0323" * 40, "\u0323\u0301" * 40
        self.assertEqual(self.unique_words(f"a{many[0]} a{many[1]} b{many[0]}"), [[f"a{many[0]}", f"b{many[0]}"]])

    def test_the_words_of_the_tests_of_unicode_are_one_in_each_form(self) -> None:
        singly = self.unique_words(*(f"x{row[0]}" for row in NORMALIZATION_TEST))
        together = self.unique_words(*(f"x{row[0]} x{row[1]} x{row[2]}" for row in NORMALIZATION_TEST))
        self.assertEqual(together, singly)
        for row, unique_words in zip(NORMALIZATION_TEST, singly, strict=True):
            self.assertEqual(analyze(f"x{row[0]} x{row[1]} x{row[2]}").unique_words, unique_words)

    def test_the_words_of_the_case_foldings_of_unicode_are_one(self) -> None:
        singly = self.unique_words(*(f"x{character}" for character, _ in FOLDINGS), ignore_case=True)
        together = self.unique_words(*(f"x{one} x{other}" for one, other in FOLDINGS), ignore_case=True)
        self.assertEqual(together, singly)
        for (one, other), unique_words in zip(FOLDINGS, singly, strict=True):
            self.assertEqual(analyze(f"x{one} x{other}", ignore_case=True).unique_words, unique_words)

    @settings(thoroughly, max_examples=1000, suppress_health_check=[HealthCheck.differing_executors])
    @given(texts)
    def test_the_words_of_a_text_are_equivalent_in_each_form(self, text: str) -> None:
        expected = [decompose(word) for word in words(text)]
        for form in "NFC", "NFD":
            self.assertEqual([decompose(word) for word in words(normalize(form, text))], expected)
        forms = [text, normalize("NFC", text), normalize("NFD", text)]
        in_each = [[decompose(word) for word in unique_words] for unique_words in self.unique_words(*forms)]
        self.assertEqual(in_each, [list(dict.fromkeys(expected))] * 3)


replace_by_each_engine(globals(), EquivalentWordTests)
