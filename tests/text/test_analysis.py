"""What is promised of an analysis: the unique words of a text and its total length."""

from __future__ import annotations

from unicodedata import normalize

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wordecho.text.analysis import Analysis, analyze
from wordecho.text.words import words

thoroughly = settings(deadline=None, derandomize=True)

# What case and canonical equivalence have surprises for: letters that have many spellings, and marks that change
# places.
_CASED = (
    "aAkKeEéÉåÅiIsSßẞ\N{ANGSTROM SIGN}\N{KELVIN SIGN}\N{LATIN SMALL LETTER LONG S}"
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"
    "\N{GREEK SMALL LETTER SIGMA}ςΣ\N{GREEK SMALL LETTER ALPHA}ᾳ각"
    "\N{COMBINING ACUTE ACCENT}\N{COMBINING RING ABOVE}\N{COMBINING DOT ABOVE}\N{COMBINING DOT BELOW}"
    "\N{COMBINING GREEK YPOGEGRAMMENI}"
)
texts = st.lists(st.text(st.sampled_from(_CASED), max_size=3), max_size=20).map(" ".join)


def nfd(text: str) -> str:
    return normalize("NFD", text)


def first_of_each(text: str, *, ignore_case: bool) -> list[str]:
    """The unique words of ``text``, found by comparing each word with each other."""

    def are_the_same(one: str, other: str) -> bool:
        if ignore_case:
            one, other = nfd(one).casefold(), nfd(other).casefold()
        return nfd(one) == nfd(other)

    found: list[str] = []
    for word in words(text):
        if not any(are_the_same(word, earlier) for earlier in found):
            found.append(word)
    return found


class UniqueWordsTests(SynchronousTestCase):
    def assert_unique(self, text: str, unique_words: list[str], *, ignore_case: bool = False) -> None:
        self.assertEqual(analyze(text, ignore_case=ignore_case).unique_words, unique_words)

    def test_each_word_is_there_once_where_it_appears_first(self) -> None:
        self.assert_unique("the fox and the dog and the hen", ["the", "fox", "and", "dog", "hen"])

    def test_words_that_differ_in_case_are_two(self) -> None:
        self.assert_unique("Hello hello HELLO", ["Hello", "hello", "HELLO"])

    def test_canonically_equivalent_words_are_one_spelled_as_first_seen(self) -> None:
        self.assert_unique("caf\u00e9 cafe\u0301", ["caf\u00e9"])
        self.assert_unique("cafe\u0301 caf\u00e9", ["cafe\u0301"])

    def test_words_that_are_equivalent_only_in_compatibility_are_two(self) -> None:
        self.assert_unique("ﬁn fin ² 2 e\u0301", ["ﬁn", "fin", "²", "2", "e\u0301"])

    def test_words_that_differ_in_a_mark_are_two(self) -> None:
        self.assert_unique("cafe caf\u00e9", ["cafe", "caf\u00e9"])

    def test_with_case_ignored_words_are_spelled_as_first_seen(self) -> None:
        self.assert_unique("Hello world hello WORLD", ["Hello", "world"], ignore_case=True)

    def test_with_case_ignored_sharp_s_is_two_s(self) -> None:
        self.assert_unique("Straße STRASSE STRAẞE", ["Straße"], ignore_case=True)

    def test_with_case_ignored_the_sigmas_are_one(self) -> None:
        self.assert_unique("ΟΔΟΣ οδος οδοσ", ["ΟΔΟΣ"], ignore_case=True)

    def test_with_case_ignored_canonically_equivalent_words_are_one(self) -> None:
        self.assert_unique("CAFE\u0301 caf\u00e9", ["CAFE\u0301"], ignore_case=True)

    def test_with_case_ignored_a_mark_that_folds_to_a_letter_is_put_in_order_first(self) -> None:
        # Folded as it stands, the iota below would come between the alpha and the accent in the one, and not in the
        # other.
        self.assert_unique("\u03b1\u0345\u0301 \u03b1\u0301\u0345", ["\u03b1\u0345\u0301"], ignore_case=True)

    @thoroughly
    @given(texts, st.booleans())
    def test_they_are_those_that_comparing_each_with_each_finds(self, text: str, ignore_case: bool) -> None:
        self.assert_unique(text, first_of_each(text, ignore_case=ignore_case), ignore_case=ignore_case)


class CountTests(SynchronousTestCase):
    def test_the_word_count_has_the_repeats(self) -> None:
        self.assertEqual(analyze("a b a A a\u0301 \u00e1").word_count, 6)

    def test_the_word_count_has_the_repeats_with_case_ignored_too(self) -> None:
        self.assertEqual(analyze("a b a A", ignore_case=True).word_count, 4)

    def test_the_length_is_in_code_points_and_the_bytes_are_those_of_utf_8(self) -> None:
        self.assertEqual(analyze("e\u0301 € 😀"), Analysis(["e\u0301"], word_count=1, length=6, bytes=12))

    def test_what_is_no_word_counts_as_length(self) -> None:
        self.assertEqual(analyze(" -!\r\x00 "), Analysis([], word_count=0, length=6, bytes=6))

    def test_how_often_each_unique_word_occurs_is_said_if_wanted(self) -> None:
        self.assertEqual(analyze("a b a A a\u0301 \u00e1", counts=True).counts, [2, 1, 1, 2])
        self.assertEqual(analyze("a b a A", ignore_case=True, counts=True).counts, [3, 1])

    def test_no_counts_and_none_wanted_are_two_things(self) -> None:
        self.assertEqual(analyze("-", counts=True).counts, [])
        self.assertIsNone(analyze("-").counts)

    def test_an_empty_text_has_nothing(self) -> None:
        self.assertEqual(analyze(""), Analysis([], word_count=0, length=0, bytes=0))

    def test_a_lone_surrogate_is_refused(self) -> None:
        for text in ("\ud800", "caf\u00e9 \udfff", "ไทย\ud800"):
            self.assertRaises(UnicodeEncodeError, analyze, text)
