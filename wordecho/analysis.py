"""From a text to its analysis: the unique words and the total length."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Annotated
from unicodedata import combining, is_normalized, normalize

from msgspec import Meta, Struct

from wordecho.words import words, words_of_texts

Count = Annotated[int, Meta(ge=0)]


class Analysis(Struct, frozen=True, omit_defaults=True, gc=False):  # nothing that it holds could refer back to it
    """
    What there is to say about a text.

    :ivar unique_words: each distinct word once, spelled as first seen, in order of first appearance
    :ivar word_count: how many words the text has, repeats counted
    :ivar length: the total length in characters (Unicode code points)
    :ivar bytes: the total length in octets of UTF-8
    :ivar counts: how often each of the unique words occurs, in the same order; None where that was not asked for
    """

    unique_words: list[str]
    word_count: Count
    length: Count
    bytes: Count
    counts: list[Count] | None = None


def analyze(text: str, ignore_case: bool = False, counts: bool = False) -> Analysis:
    """
    Analyze ``text``.

    Words that are canonically equivalent (The Unicode Standard, section 3.7, D70) are one unique word; with
    ``ignore_case`` so are words that are a canonical caseless match (section 3.13, D145).

    :param counts: whether to say how often each unique word occurs
    :raises UnicodeEncodeError: if ``text`` has a lone surrogate, which UTF-8 cannot express.

    >>> analyze("Hello, world hello world")
    Analysis(unique_words=['Hello', 'world', 'hello'], word_count=4, length=24, bytes=24, counts=None)
    >>> analyze("Hello, world hello world", counts=True).counts
    [1, 2, 1]
    """
    return _analyze(text, words(text), ignore_case, counts)


def analyze_texts(texts: list[str], ignore_case: bool = False, counts: bool = False) -> list[Analysis]:
    """:func:`analyze` each of ``texts``; those that need a dictionary share what it costs to ask it."""
    found_in_each = words_of_texts(texts)
    if ignore_case or counts or not _is_in_one_form("\n".join(texts)):
        return [_analyze(text, found, ignore_case, counts) for text, found in zip(texts, found_in_each, strict=True)]
    unique_words = map(list, map(dict.fromkeys, found_in_each))
    sizes = map(len, map(str.encode, texts))
    return list(map(Analysis, unique_words, map(len, found_in_each), map(len, texts), sizes))


def _analyze(text: str, found: list[str], ignore_case: bool, counts: bool) -> Analysis:
    size = len(text.encode())
    if not (counts or ignore_case) and _is_in_one_form(text):
        return Analysis([*dict.fromkeys(found)], len(found), len(text), size)
    occurrences = Counter(found)
    if ignore_case or not _is_in_one_form(text):
        occurrences = _join_equivalents(occurrences, ignore_case)
    return Analysis([*occurrences], len(found), len(text), size, [*occurrences.values()] if counts else None)


def _is_in_one_form(text: str) -> bool:
    """Whether ``text`` is all in one normal form, in which distinct strings are never equivalent."""
    return text.isascii() or is_normalized("NFD", text) or is_normalized("NFC", text)


def _join_equivalents(occurrences: Counter[str], ignore_case: bool) -> Counter[str]:
    """Count each of the words in ``occurrences`` as the first one that is equivalent to it."""
    first: dict[str, str] = {}
    joined: Counter[str] = Counter()
    for word, count in occurrences.items():
        key = _decompose(word)
        if ignore_case:
            key = _decompose(key.casefold())
        joined[first.setdefault(key, word)] += count
    return joined


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
