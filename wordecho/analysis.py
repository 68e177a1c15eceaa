"""From a text to its analysis: the unique words and the total length."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated
from unicodedata import combining, is_normalized, normalize

from msgspec import Meta, Struct

from wordecho.words import words, words_of_each

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
    return _analysis(text, words(text), ignore_case)


def analyze_each(messages: list[str], ignore_case: bool = False) -> list[Analysis]:
    """Analyze each of ``messages``, as :func:`analyze` does, for less; none has a line feed in it."""
    return [_analysis(text, found, ignore_case) for text, found in zip(messages, words_of_each(messages), strict=True)]


def _analysis(text: str, found: list[str], ignore_case: bool) -> Analysis:
    unique_words = [*dict.fromkeys(found)]
    length = size = len(text)
    if not text.isascii():
        size = len(text.encode())
        # Distinct strings in one normal form are never equivalent, so text that is all in one needs no further look.
        if not ignore_case and not is_normalized("NFD", text) and not is_normalized("NFC", text):
            unique_words = _first_of_each([_decompose(word) for word in unique_words], unique_words)
    if ignore_case:
        unique_words = _first_of_each([_decompose(_decompose(word).casefold()) for word in unique_words], unique_words)
    return Analysis(unique_words, len(found), length, size)


def _first_of_each(keys: list[str], unique_words: list[str]) -> list[str]:
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
