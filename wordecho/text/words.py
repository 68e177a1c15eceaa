"""
What a word is.

The rule is that of Unicode Standard Annex #29, "Unicode Text Segmentation", section 4 (default word boundaries), with
a dictionary for the scripts that put no spaces between words, as that section asks for:

1. The default rules cut the text into pieces.
2. A run of neighbouring pieces that start with a character of a dictionary script is cut by a dictionary instead. The
   dictionary sees nothing but the run, so it cannot change how the text around it is cut.
3. A piece is a word if it has a letter (the property Alphabetic, marks excepted) or a digit (General Category N) in
   it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, groupby

from unicode_segmentation_rs import split_word_bounds, unicode_words

from wordecho.text import dictionaries
from wordecho.text.characters import DICTIONARY_CHARACTERS, LETTERS_AND_DIGITS, SUPPLEMENTARY_LETTERS_AND_DIGITS

_starts_run = re.compile(f"[{DICTIONARY_CHARACTERS}]").match

# A class with many characters beyond U+FFFF takes long to say that a character is not in it; here a small one is asked
# first.
_find_dictionary_character = re.compile(f"(?=[\u0e01-\u1fff\u2e80-\U0010ffff])[{DICTIONARY_CHARACTERS}]").search
_find_letter_or_digit = re.compile(
    f"[{LETTERS_AND_DIGITS}]|(?=[\U00010000-\U0010ffff])[{SUPPLEMENTARY_LETTERS_AND_DIGITS}]"
).search

_NO_WORDS = frozenset(" ,.:;!?'\"()-\u3000\u3001\u3002\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f")


def words(text: str) -> list[str]:
    """
    Return the words of ``text``, repeats included, in order of appearance.

    >>> words("Can't stop: 3.14, 3.14!")
    ["Can't", 'stop', '3.14', '3.14']
    """
    return unicode_words(text) if text.isascii() else words_of_texts([text])[0]


def words_of_texts(texts: list[str]) -> list[list[str]]:
    """Return the :func:`words` of each of ``texts``; those that need a dictionary share what it costs to ask it."""
    if all(map(str.isascii, texts)):
        return list(map(unicode_words, texts))
    if any(map(_find_dictionary_character, texts)):
        found_in_each = pieces_of_texts(texts)
    else:
        # It goes by the property Alphabetic alone, and so takes some marks for words; none of them is ASCII.
        found_in_each = list(map(unicode_words, texts))
    # Most pieces begin with a letter or are one of a few; both are seen for less.
    return [
        [piece for piece in found if piece[0].isalnum() or (piece not in _NO_WORDS and _find_letter_or_digit(piece))]
        for found in found_in_each
    ]


def pieces(text: str) -> list[str]:
    """Cut ``text`` at its word boundaries; the pieces, joined, are ``text`` again."""
    return pieces_of_texts([text])[0]


def pieces_of_texts(texts: list[str]) -> list[list[str]]:
    """Return the :func:`pieces` of each of ``texts``."""
    runs: list[str] = []
    parts_of_texts = [list(_parts(text, runs)) for text in texts]
    cut_runs = iter(dictionaries.cut(runs))
    return [
        next(cut_runs)
        if parts == [None]
        else list(chain.from_iterable(next(cut_runs) if part is None else part for part in parts))
        for parts in parts_of_texts
    ]


def _parts(text: str, runs: list[str]) -> Iterator[list[str] | None]:
    """Yield ``text`` in pieces, with None in place of each run that is still to be cut, which is put into ``runs``."""
    if not _find_dictionary_character(text):
        yield split_word_bounds(text)
    elif dictionaries.is_plain(text):
        runs.append(text)
        yield None
    else:
        for starts_run, group in groupby(split_word_bounds(text), lambda piece: _starts_run(piece) is not None):
            part = list(group)
            if not starts_run:
                yield part
            elif dictionaries.can_share(run := "".join(part)):
                runs.append(run)
                yield None
            else:
                yield dictionaries.cut([run])[0]
