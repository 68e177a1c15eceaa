"""From a text to its analysis: the unique words and the total length."""

from __future__ import annotations

from itertools import groupby, repeat
from typing import Annotated
from unicodedata import combining, is_normalized, normalize

from msgspec import Meta, Struct

from wordecho.words import words, words_of_lines

Count = Annotated[int, Meta(ge=0)]


class Analysis(Struct, frozen=True, gc=False):  # nothing that it holds could ever refer back to it
    """
    What there is to say about a text.

    :ivar unique_words: each distinct word once, spelled as first seen, in order of first appearance
    :ivar word_count: how many words the text has, repeats counted
    :ivar length: the total length in characters (Unicode code points)
    :ivar bytes: the total length in octets of UTF-8
    """

    unique_words: list[str]
    word_count: Count
    length: Count
    bytes: Count


def analyze(text: str, ignore_case: bool = False) -> Analysis:
    """
    Analyze ``text``.

    Words that are canonically equivalent (The Unicode Standard, section 3.7, D70) are one unique word; with
    ``ignore_case`` so are words that are a canonical caseless match (section 3.13, D145).

    :raises UnicodeEncodeError: if ``text`` has a lone surrogate, which UTF-8 cannot express.

    >>> analyze("Hello, world hello world")
    Analysis(unique_words=['Hello', 'world', 'hello'], word_count=4, length=24, bytes=24)
    """
    found = words(text)
    unique_words = [*dict.fromkeys(found)]
    if ignore_case or not _is_in_one_form(text):
        unique_words = _without_equivalents(unique_words, ignore_case)
    return Analysis(unique_words, len(found), len(text), len(text.encode()))


def analyze_lines(text: str, ignore_case: bool = False) -> list[Analysis]:
    """
    Analyze each line of ``text``, as :func:`analyze` does, for less.

    :param text: lines, each of which ends with a line feed
    """
    lines = text.split("\n")[:-1]
    found = words_of_lines(lines)
    unique_words = map(list, map(dict.fromkeys, found))
    if ignore_case or not _is_in_one_form(text):
        unique_words = map(_without_equivalents, unique_words, repeat(ignore_case))
    return list(map(Analysis, unique_words, map(len, found), map(len, lines), map(len, map(str.encode, lines))))


def _is_in_one_form(text: str) -> bool:
    """Whether ``text`` is all in one normal form, in which distinct strings are never equivalent."""
    return text.isascii() or is_normalized("NFD", text) or is_normalized("NFC", text)


def _without_equivalents(unique_words: list[str], ignore_case: bool) -> list[str]:
    """Return ``unique_words`` without those that are equivalent to one before them."""
    keys = [_decompose(word) for word in unique_words]
    if ignore_case:
        keys = [_decompose(key.casefold()) for key in keys]
    first: dict[str, str] = {}
    for key, word in zip(keys, unique_words, strict=True):
        first.setdefault(key, word)
    return list(first.values())


def _decompose(word: str) -> str:
    """Return the canonical decomposition (NFD, Unicode Standard Annex #15) of ``word`` in time linear in its length."""
    if word.isascii():
        return word
    if len(word) < 100:
        return normalize("NFD", word)
    # Python orders marks by an insertion sort, which takes seconds for a word of a hundred thousand of them. Decomposed
    # one by one and sorted here (a stable sort, as the standard's canonical ordering is), they take milliseconds.
    ordered: list[str] = []
    decomposed = "".join(normalize("NFD", character) for character in word)
    for _, run in groupby(decomposed, key=lambda character: combining(character) > 0):
        ordered += sorted(run, key=combining)  # which leaves a run of anything but marks as it is
    return "".join(ordered)
