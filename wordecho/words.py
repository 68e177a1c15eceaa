"""
What a word is.

The rule is that of Unicode Standard Annex #29, "Unicode Text Segmentation", section 4 (default word boundaries), with
a dictionary for the scripts that put no spaces between words, as that section asks for:

1. The default rules cut the text into pieces.
2. A run of neighbouring pieces that start with a character of a dictionary script is cut by ICU's dictionaries
   instead. The dictionaries see nothing but the run, so they cannot change how the text around it is cut.
3. A piece is a word if it has a letter (the property Alphabetic, marks excepted) or a digit (General Category N) in
   it.
"""

from __future__ import annotations

import re
from itertools import chain, pairwise
from operator import itemgetter
from unicodedata import category

from icu4py.breakers import WordBreaker
from unicode_segmentation_rs import split_word_bounds, unicode_words

# UAX #29 leaves two kinds of text to a dictionary: Line_Break=Complex_Context (the scripts of South-East Asia), and
# Han with the two kana. Digits and punctuation of these scripts are not in here: the default rules know them.
_DICTIONARY_CHARACTERS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ece\u0edc-\u0edf"  # Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u1950-\u1974\u1980-\u19c9\u19da\u19de\u19df"  # Tai Le, New Tai Lue
    "\u1a20-\u1a7c\u1aa0-\u1aad\uaa80-\uaadf"  # Tai Tham, Tai Viet
    "\U00011700-\U0001172b\U0001173a-\U00011746"  # Ahom
    "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b"  # Han: radicals, marks and numerals
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9\U00016fe2-\U00016ff6\U00020000-\U0003fffd"  # Han: ideographs
    "\u3031-\u3035\u3041-\u3096\u309b-\u309f\u30a0-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u32d0-\u32fe\u3300-\u3357\uff66-\uff9d\U0001aff0-\U0001affe\U0001b000-\U0001b167\U0001f200"  # kana
)
_DICTIONARY_CHARACTER = re.compile(f"[{_DICTIONARY_CHARACTERS}]")

# All of them are in here. Most text that needs no dictionary has none of these, which takes less time to see.
_NEAR_DICTIONARY_CHARACTER = re.compile("[\u0e01-\u1fff\u2e80-\U0010ffff]")

# They and all marks are in here. In text that has none of these, unicode_words() finds the words by itself; Latin,
# Greek, Cyrillic and Armenian text is such text if its letters are composed.
_NEAR_MARK_OR_DICTIONARY_CHARACTER = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0590-\u1dff\u20d0-\u20ff\u2c80-\U0010ffff]"
)


def _indic(*categories: str) -> str:
    """Return the characters of ``categories`` in printable ASCII and in the Indic blocks, Devanagari to Sinhala."""
    characters = map(chr, [*range(0x20, 0x7F), *range(0x900, 0xE00)])
    return "".join(re.escape(each) for each in characters if category(each).startswith(categories))


# In text that has nothing else, and no low line, the default rules (WB4 to WB12) come down to an expression: a word is
# letters and digits with their marks, and what may stand between two letters or two digits. It takes half the time.
_LETTERS, _MARKS, _DIGITS = _indic("L"), _indic("M"), _indic("Nd")
_NOT_INDIC = re.compile(f"[^\n{_LETTERS}{_MARKS}{_DIGITS}{_indic('P', 'S', 'Zs').replace('_', '')}]")
_INDIC_WORD = re.compile(
    f"(?:[{_LETTERS}][{_LETTERS}{_MARKS}]*(?:[.:'][{_MARKS}]*(?=[{_LETTERS}]))?"
    f"|[{_DIGITS}][{_DIGITS}{_MARKS}]*(?:[.,;'][{_MARKS}]*(?=[{_DIGITS}]))?)+"
)

# Stands between pieces that are joined into one string. No text has it: UTF-8 cannot express a lone surrogate.
_SEPARATOR = "\ud800"
_RUN = re.compile(
    f"(?<![^{_SEPARATOR}])[{_DICTIONARY_CHARACTERS}][^{_SEPARATOR}]*"
    f"(?:{_SEPARATOR}[{_DICTIONARY_CHARACTERS}][^{_SEPARATOR}]*)*"
)

# Most text that needs a dictionary is plain: ASCII but for the low line, Thai with nothing but spaces around it,
# Hiragana, the common ideographs, and their punctuation. By itself ICU cuts it as rules 1 and 2 do, in half the time.
_THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
_NOT_PLAIN = re.compile(
    f"[^\0-^`-\x7f{_THAI}\u3041-\u3096\u4e00-\u9fff\u2014\u2018-\u201d\u2026\u3001-\u3002\uff01-\uff1f]"
)
_NOT_PLAIN_THAI = re.compile(f"[{_THAI}][^{_THAI} \n]|[^{_THAI} \n][{_THAI}]")

_first_character = itemgetter(0)

# ICU loads its dictionary of Chinese and Japanese at the first ideograph or kana letter that it is given, and cuts runs
# that start with a prolonged sound mark in another way until then.
list(WordBreaker("\u306e\u306e", "und"))


def words(text: str) -> list[str]:
    """
    Return the words of ``text``, repeats included, in order of appearance.

    >>> words("Can't stop: 3.14, 3.14!")
    ["Can't", 'stop', '3.14', '3.14']
    """
    if text.isascii() or not _NEAR_MARK_OR_DICTIONARY_CHARACTER.search(text):
        return unicode_words(text)
    if _is_indic(text):
        return _INDIC_WORD.findall(text)
    return _words_among(pieces(text) if _needs_dictionary(text) else unicode_words(text))


def words_of_lines(lines: list[str]) -> list[list[str]]:
    """
    Return the :func:`words` of each of ``lines``, none of which has a line feed in it.

    What it costs to find out what they need, and to make a breaker, is shared by all of them: a line feed is always a
    boundary.
    """
    text = "\n".join(lines)
    near = None if text.isascii() else _NEAR_MARK_OR_DICTIONARY_CHARACTER.search(text)
    if near is None:
        return list(map(unicode_words, lines))
    if _is_indic(text):
        return list(map(_INDIC_WORD.findall, lines))
    # Nearly all text that needs a dictionary needs it for the first character that is worth a look. All such text needs
    # it for the first character of a word.
    if not _DICTIONARY_CHARACTER.match(near[0]):
        found_in_each = list(map(unicode_words, lines))
        first_characters = "".join(map(_first_character, chain.from_iterable(found_in_each)))
        if not _needs_dictionary(first_characters):
            return found_in_each if first_characters.isalnum() else list(map(_words_among, found_in_each))
        if not _is_plain(text):
            return [
                words(line) if _needs_dictionary(line) else _words_among(found)
                for line, found in zip(lines, found_in_each, strict=True)
            ]
    if _is_plain(text) and "\r" not in text:
        found = [*WordBreaker(text, "und"), "\n"]
        ends = [index for index, piece in enumerate(found) if piece == "\n"]
        return [_words_among(found[start + 1 : end]) for start, end in pairwise([-1, *ends])]
    return list(map(words, lines))


def _words_among(found: list[str]) -> list[str]:
    """Return those of the pieces ``found`` that are words; what unicode_words() returns will do for all of them."""
    # unicode_words() counts some marks as letters; a piece that starts with anything but a mark is right as it is.
    if "".join(map(_first_character, found)).isalnum():
        return found
    return [piece for piece in found if piece[0].isalnum() or _is_word(piece)]


def pieces(text: str) -> list[str]:
    """Cut ``text`` at its word boundaries; the pieces, joined, are ``text`` again."""
    if not _needs_dictionary(text):
        return split_word_bounds(text)
    if _is_plain(text):
        return list(WordBreaker(text, "und"))
    return _RUN.sub(_cut_run, _SEPARATOR.join(split_word_bounds(text))).split(_SEPARATOR)


def _cut_run(run: re.Match[str]) -> str:
    # A breaker for each run, because one that has cut a run before has been seen to cut the next in another way.
    return _SEPARATOR.join(WordBreaker(run[0].replace(_SEPARATOR, ""), "und"))


def _is_indic(text: str) -> bool:
    # For each part of a word the expression takes some hundred bytes of memory, and a text may be one word.
    return len(text) <= 16384 and not _NOT_INDIC.search(text)


def _is_plain(text: str) -> bool:
    return not _NOT_PLAIN.search(text) and not _NOT_PLAIN_THAI.search(text)


def _needs_dictionary(text: str) -> bool:
    return bool(_NEAR_DICTIONARY_CHARACTER.search(text) and _DICTIONARY_CHARACTER.search(text))


def _is_word(piece: str) -> bool:
    if any(map(str.isalnum, piece)):
        return True
    if piece.isascii():
        return False
    # What is left are marks, symbols and letters that are newer than this Python's own Unicode tables. The splitter's
    # tables are the same under every Python, so it has the last word on what a letter is; it needs the marks out of
    # its sight, because it takes some of them for letters.
    return bool(unicode_words("".join(character for character in piece if not _is_mark(character))))


def _is_mark(character: str) -> bool:
    return len(split_word_bounds("!" + character)) == 1  # a boundary never parts a mark from what it stands on
