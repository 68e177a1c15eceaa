"""What is promised of words: the default rules of Unicode, with dictionaries where these ask for them."""

from __future__ import annotations

import subprocess
import sys
from itertools import groupby

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from icu4py.breakers import WordBreaker
from twisted.trial.unittest import SynchronousTestCase
from unicode_segmentation_rs import split_word_bounds

from tests.furniture.engines import FAULTS, NATIVE, ZWJ, pieces, replace_by_each_engine
from tests.furniture.words import word_break_tests
from unicode import make_tables
from unicode.make_tables import property_of
from wordecho.text import dictionaries
from wordecho.text import words as by_python
from wordecho.text.words import words, words_of_texts
from wordecho.wire.engine import Engine

# The same function is the test of each engine.
thoroughly = settings(
    deadline=None, derandomize=True, max_examples=400, suppress_health_check=[HealthCheck.differing_executors]
)

# The characters that each word boundary rule is about, of scripts that need no dictionary.
_PUNCTUATION = (
    ".,:;'\"\N{MIDDLE DOT}\N{RIGHT SINGLE QUOTATION MARK}\N{ONE DOT LEADER}\N{HEBREW PUNCTUATION GERESH}"
    "\N{GREEK QUESTION MARK}\N{ARABIC THOUSANDS SEPARATOR}\N{SMALL COMMA}\N{MODIFIER LETTER COLON}"
)
_EMOJI = "👍❤©👩🏽"
_DEFAULT = (
    "aB1 _-\t\n\r\N{UNDERTIE}\N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"
    "éßΣςЖя\N{MATHEMATICAL FRAKTUR SMALL X}אבابजनतेతె٣३½Ⅷ²Ⓐ🇫🇷"
    "\N{COMBINING ACUTE ACCENT}\N{COMBINING DIAERESIS}\N{COMBINING ENCLOSING KEYCAP}\N{DEVANAGARI SIGN VIRAMA}"
    "\N{DEVANAGARI SIGN VISARGA}\N{VARIATION SELECTOR-16}"
    "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}\N{WORD JOINER}"
    f"{_PUNCTUATION}{_EMOJI}"
)
_DICTIONARY = "กาำท่ลาວຂ្មមြန်漢字你好のすカー゛ﾊ々"
_NEIGHBOURS = "ๆฯ๑១၁ﾟ。、「한국어"

default_texts = st.text(st.sampled_from(_DEFAULT), max_size=12)
mixed_texts = st.text(st.sampled_from(_DICTIONARY) | st.sampled_from(_DEFAULT + _NEIGHBOURS), max_size=12)
# What most text is made of that needs a dictionary.
_PLAIN = [*"กาำ่วสดีน你好中国人のですabc13.,'\"-()。“”…\uff0c\uff1f", *[" "] * 6, "\n", "สวัสดี", "ชาวโลก", "学生", "です"]
plain_texts = st.lists(st.sampled_from(_PLAIN), max_size=16).map("".join)

# Runs of every dictionary script, and what can stand in one besides.
_RUNS = "กาลາຂ្មមြန်漢字のすカー゛〱ｰﾊ々\u00ad\u0301\u200d\ufe0f\u3099_ᥐᦀᨠꪀ𑜀"

# Alphabetic, though neither letters nor numbers nor marks: Latin letters in circles and squares.
_ALPHABETIC_SYMBOLS = {
    chr(code)
    for first, last in ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
    for code in range(first, last + 1)
}

CATEGORIES = {chr(code): category for code, category, _ in make_tables.unicode_data() if category not in ("Co", "Cs")}

# UAX #29, section 4: what is left to a dictionary are the scripts of South-East Asia (Line_Break=SA), ideographs and
# kana. That some characters of both kana have the script Common is no reason to part them from it.
_COMMON_KANA = {*"\u3031\u3032\u3033\u3034\u3035\u309b\u309c\u30a0\u30fc\uff70"}
DICTIONARY_CHARACTERS = {
    *(chr(code) for code, value in property_of("LineBreak.txt").items() if value == "SA"),
    *(chr(code) for code, value in property_of("Scripts.txt").items() if value in ("Han", "Hiragana", "Katakana")),
    *_COMMON_KANA,
}


def is_letter_or_digit(character: str) -> bool:
    return CATEGORIES[character][0] in "LN" or character in _ALPHABETIC_SYMBOLS


def icu(text: str) -> list[str]:
    return list(WordBreaker(text, "und"))


def cut_by_the_rules(text: str) -> list[str]:
    """Cut ``text`` by the default rules, and each run of dictionary text in it as if it stood alone."""
    cut: list[str] = []
    for is_run, group in groupby(split_word_bounds(text), lambda piece: piece[0] in DICTIONARY_CHARACTERS):
        run = list(group)
        cut += icu("".join(run)) if is_run else run
    return cut


class DefaultRuleTests(SynchronousTestCase):
    """Text of the scripts that need no dictionary."""

    engine: Engine

    def pieces(self, text: str) -> list[str]:
        return [piece for piece, _ in pieces(self.engine, text)]

    def words(self, text: str) -> list[str]:
        return [piece for piece, is_word in pieces(self.engine, text) if is_word]

    def test_the_tests_of_unicode_pass(self) -> None:
        cases = word_break_tests(make_tables.FILES / "WordBreakTest.txt")
        self.assertEqual(len(cases), 1944)
        self.assertEqual([case for case in cases if self.pieces("".join(case)) != case], [])

    def test_those_of_earlier_versions_pass_but_for_what_has_changed(self) -> None:
        # Since Unicode 17.0 a character that is no emoji is no Extended_Pictographic either (decision 182-C20), so
        # WB3c does not join U+2701, UPPER BLADE SCISSORS, to a ZERO WIDTH JOINER before it any more.
        for version, count in (("15.0.0", 1823), ("16.0.0", 1826)):
            cases = word_break_tests(make_tables.HERE / f"WordBreakTest-{version}.txt")
            self.assertEqual(len(cases), count)
            failing = ["".join(case) for case in cases if self.pieces("".join(case)) != case]
            self.assertEqual(failing, ["\u2701\u200d\u2701", "a\u200d\u2701"])

    @thoroughly
    @given(default_texts)
    def test_icu_finds_the_same_pieces_and_words(self, text: str) -> None:
        if self.engine is NATIVE or not FAULTS.search(text):
            self.assertEqual(self.pieces(text), icu(text))
            self.assertEqual(self.words(text), [piece for piece in icu(text) if any(map(is_letter_or_digit, piece))])

    def test_icu_cuts_the_same_around_every_character(self) -> None:
        characters = [
            character
            for character in CATEGORIES
            if character not in DICTIONARY_CHARACTERS
            and not "\uac00" <= character <= "\ud7a3"  # ICU parts Hangul from its neighbours, the default rules do not
            and character not in "\n\r\x85\u2028\u2029"
        ]
        contexts = ("{0}{0}", "a{0}a", "1{0}1", ".{0}", "_{0}")
        lines = [context.format(character) for context in contexts for character in characters]
        text = "\n".join(lines)
        if self.pieces(text) != icu(text):
            self.fail(f"cut differently: {[ascii(line) for line in lines if self.pieces(line) != icu(line)]}")

    def test_an_apostrophe_between_letters_parts_nothing(self) -> None:
        self.assertEqual(self.words("'can't' don\N{RIGHT SINGLE QUOTATION MARK}t"), ["can't", "don\u2019t"])

    def test_a_point_or_comma_between_digits_parts_nothing(self) -> None:
        self.assertEqual(self.words("3.14, 1,000.50."), ["3.14", "1,000.50"])

    def test_a_point_between_letters_parts_nothing(self) -> None:
        self.assertEqual(self.words("e.g."), ["e.g"])

    def test_an_underscore_parts_nothing(self) -> None:
        self.assertEqual(self.words("foo_bar"), ["foo_bar"])

    def test_a_hyphen_parts_words(self) -> None:
        self.assertEqual(self.words("hello-world"), ["hello", "world"])

    def test_the_signs_of_devanagari_stay_in_their_word(self) -> None:
        self.assertEqual(self.words("नमस्ते दुनिया"), ["नमस्ते", "दुनिया"])

    def test_hangul_and_latin_letters_side_by_side_are_one_word(self) -> None:
        self.assertEqual(self.words("한국어abc 한국어"), ["한국어abc", "한국어"])

    def test_repeats_are_included(self) -> None:
        self.assertEqual(self.words("a b a"), ["a", "b", "a"])

    def test_a_joiner_before_an_emoji_changes_nothing_in_what_comes_before_it(self) -> None:
        self.assert_fault(f"so.{ZWJ}❤", ["so"], by_python=[f"so.{ZWJ}❤"])

    def test_an_emoji_that_is_a_letter_is_one_after_a_joiner_too(self) -> None:
        information = "\N{INFORMATION SOURCE}"
        self.assert_fault(
            f"{ZWJ}{information}\u0661", [f"{ZWJ}{information}\u0661"], by_python=[f"{ZWJ}{information}", "\u0661"]
        )

    def assert_fault(self, text: str, expected: list[str], *, by_python: list[str]) -> None:
        """The Python engine's splitter is wrong here. Once it is mended, this fails, and docs/words.rst can say so."""
        self.assertEqual(self.words(text), expected if self.engine is NATIVE else by_python)
        self.assertTrue(FAULTS.search(text))


class DictionaryTests(SynchronousTestCase):
    """Text of the scripts that put no spaces between words, alone and among other text."""

    def test_thai(self) -> None:
        self.assertEqual(words("สวัสดีชาวโลก"), ["สวัสดี", "ชาว", "โลก"])

    def test_lao(self) -> None:
        self.assertEqual(words("ສະບາຍດີຊາວໂລກ"), ["ສະບາຍດີ", "ຊາວໂລກ"])

    def test_khmer(self) -> None:
        self.assertEqual(words("សួស្តីពិភពលោក"), ["សួស្តី", "ពិភពលោក"])

    def test_burmese(self) -> None:
        self.assertEqual(words("မင်္ဂလာပါကမ္ဘာလောက"), ["မင်္ဂလာ", "ပါ", "ကမ္ဘာ", "လောက"])

    def test_chinese(self) -> None:
        self.assertEqual(words("你好，世界。"), ["你好", "世界"])  # noqa: RUF001
        self.assertEqual(words("你好世界"), ["你好", "世界"])

    def test_japanese(self) -> None:
        self.assertEqual(words("日本語を話します"), ["日本語", "を", "話", "し", "ます"])
        self.assertEqual(words("おねーさん"), ["お", "ねー", "さん"])

    def test_digits_of_other_scripts_are_words_of_their_own(self) -> None:
        self.assertEqual(words("ราคา100บาท"), ["ราคา", "100", "บาท"])

    def test_letters_of_other_scripts_are_words_of_their_own(self) -> None:
        self.assertEqual(words("iPhoneรุ่นใหม่"), ["iPhone", "รุ่น", "ใหม่"])

    def test_hangul_is_cut_as_ever_next_to_dictionary_text(self) -> None:
        self.assertEqual(words("한국어abc ไทย"), ["한국어abc", "ไทย"])
        self.assertEqual(words("한국어abc漢字"), ["한국어abc", "漢字"])

    @thoroughly
    @given(mixed_texts)
    def test_each_run_is_cut_as_if_it_stood_alone_and_the_rest_by_the_default_rules(self, text: str) -> None:
        self.assertEqual(by_python.pieces(text), cut_by_the_rules(text))

    def test_what_is_in_a_run_changes_nothing_in_the_next(self) -> None:
        self.assertEqual(words("゛ー, ーの"), ["゛ー", "ー", "の"])
        for text in ("の゛, ーの", "の〱, ーの", "カ_ー, ーの", "の\u00adー, ーの", "の\u0301, ーの", "の\u200d, ーの"):
            for texts in ([text], text.split(", ")):
                self.assertEqual([words(each)[-2:] for each in texts][-1], ["ー", "の"], ascii(texts))

    @settings(thoroughly, max_examples=2000)
    @given(st.lists(st.text(st.sampled_from(_RUNS), min_size=1, max_size=8), max_size=6))
    def test_runs_that_are_cut_together_are_cut_as_each_alone(self, runs: list[str]) -> None:
        self.assertEqual(words_of_texts(runs), [words(run) for run in runs])
        self.assertEqual(by_python.pieces(", ".join(runs)), cut_by_the_rules(", ".join(runs)))

    @thoroughly
    @given(plain_texts)
    def test_plain_text_is_cut_as_all_text_is(self, text: str) -> None:
        self.assertEqual(by_python.pieces(text), cut_by_the_rules(text))

    def test_what_a_process_cuts_first_is_cut_as_ever(self) -> None:
        self.assertEqual(words("\u30fc\u306e"), ["\u30fc", "\u306e"])
        code = r"from wordecho.text.words import words; print(words('\u30fc\u306e') == ['\u30fc', '\u306e'])"
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code], text=True).strip(), "True")

    def test_line_endings_are_pieces_next_to_dictionary_text_too(self) -> None:
        self.assertEqual(by_python.pieces("ไทย\n\r\nไทย\n"), ["ไทย", "\n", "\r\n", "ไทย", "\n"])

    @thoroughly
    @given(mixed_texts, mixed_texts)
    def test_the_words_of_a_line_do_not_depend_on_the_other_lines(self, one: str, other: str) -> None:
        self.assertEqual(words(f"{one}\n{other}"), words(one) + words(other))

    @thoroughly
    @given(st.lists(default_texts) | st.lists(plain_texts) | st.lists(mixed_texts) | st.lists(st.text("aé b.")))
    def test_the_words_of_many_texts_are_those_of_each(self, texts: list[str]) -> None:
        self.assertEqual(words_of_texts(texts), [words(text) for text in texts])

    def test_texts_share_what_it_costs_to_ask_a_dictionary(self) -> None:
        made: list[str] = []

        def make(text: str, locale: str) -> WordBreaker:
            made.append(text)
            return WordBreaker(text, locale)

        self.patch(dictionaries, "WordBreaker", make)
        # Plain text, a run among other text, one that is not composed, and one that cannot share.
        words_of_texts(["ไทย ลาว", "สวัสดี", "é漢字é", "か\u3099", "abc"])
        self.assertEqual(len(made), 1)
        self.assertIn("สวัสดี", made[0].split("\n"))
        words_of_texts(["漢字", "の\u00ad"])
        self.assertEqual(len(made), 3)

    def test_a_carriage_return_at_the_end_of_a_text_does_not_join_it_to_the_next(self) -> None:
        self.assertEqual(words_of_texts(["漢\r", "漢"]), [["漢"], ["漢"]])

    def test_a_mark_is_no_word_in_texts_of_which_another_needs_a_dictionary(self) -> None:
        self.assertEqual(words_of_texts(["कa", "漢é", "-\u0903"])[2], [])

    def test_the_characters_that_need_a_dictionary_are_those_that_unicode_says(self) -> None:
        found = {chr(code) for code in range(sys.maxunicode + 1) if by_python._starts_run(chr(code))}
        self.assertEqual(found, DICTIONARY_CHARACTERS)
        self.assertEqual(
            {chr(code) for code in range(0x110000) if by_python._find_dictionary_character(chr(code))}, found
        )
        word_break = property_of("WordBreakProperty.txt")
        self.assertEqual({each for each in _COMMON_KANA if word_break[ord(each)] == "Katakana"}, _COMMON_KANA)

    @thoroughly
    @given(mixed_texts | st.text())
    def test_the_pieces_joined_are_the_text(self, text: str) -> None:
        self.assertEqual("".join(by_python.pieces(text)), text)
        self.assertNotIn("", by_python.pieces(text))


class LetterOrDigitTests(SynchronousTestCase):
    """Which pieces are words."""

    engine: Engine

    def words(self, text: str) -> list[str]:
        return [piece for piece, is_word in pieces(self.engine, text) if is_word]

    def test_a_character_alone_is_a_word_if_it_is_a_letter_or_a_digit(self) -> None:
        letters_and_digits = list(filter(is_letter_or_digit, CATEGORIES))
        if self.words("\n".join(CATEGORIES)) != letters_and_digits:
            self.fail(f"not so: {[ascii(c) for c in CATEGORIES if bool(self.words(c)) != is_letter_or_digit(c)]}")

    def test_a_mark_makes_nothing_a_word(self) -> None:
        marks = [character for character, category in CATEGORIES.items() if category[0] == "M"]
        self.assertEqual(self.words("\n".join(f"-{mark}{mark}" for mark in marks)), [])

    def test_an_emoji_is_no_word(self) -> None:
        self.assertEqual(self.words("👍 👩🏽\N{ZERO WIDTH JOINER}❤ 🇫🇷"), [])

    def test_a_digit_in_a_keycap_is_a_word(self) -> None:
        self.assertEqual(self.words("1️⃣"), ["1️⃣"])

    def test_a_letter_is_one_under_a_python_that_is_older_than_it_too(self) -> None:
        kirat_rai, tje = "\U00016d43\U00016d44", "\u1c8a"  # of Unicode 16.0
        self.assertEqual(self.words(f"{kirat_rai} {tje}, {kirat_rai}"), [kirat_rai, tje, kirat_rai])
        self.assertEqual(words(f"{kirat_rai} {tje}, กา {kirat_rai}"), [kirat_rai, tje, "กา", kirat_rai])

    def test_a_mark_is_none_under_a_python_that_is_older_than_it_too(self) -> None:
        self.assertEqual(self.words("\u0cf3"), [])  # of Unicode 15.0
        self.assertEqual(self.words("\U000113b8"), [])  # of Unicode 16.0

    def test_an_empty_text_has_none(self) -> None:
        self.assertEqual(self.words(""), [])


replace_by_each_engine(globals(), DefaultRuleTests, LetterOrDigitTests)
