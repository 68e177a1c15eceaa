"""From a text to its analysis: the unique words and the total length."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from msgspec import Meta, Struct

from wordecho.text.normal_forms import decompose, fold, is_in_one_form
from wordecho.text.words import words, words_of_texts

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
    if ignore_case or counts or not is_in_one_form(" ".join(texts)):
        return [_analyze(text, found, ignore_case, counts) for text, found in zip(texts, found_in_each, strict=True)]
    unique_words = map(list, map(dict.fromkeys, found_in_each))
    sizes = map(len, map(str.encode, texts))
    return list(map(Analysis, unique_words, map(len, found_in_each), map(len, texts), sizes))


def _analyze(text: str, found: list[str], ignore_case: bool, counts: bool) -> Analysis:
    size = len(text.encode())
    if not (counts or ignore_case) and is_in_one_form(text):
        return Analysis([*dict.fromkeys(found)], len(found), len(text), size)
    occurrences = Counter(found)
    if ignore_case or not is_in_one_form(text):
        occurrences = _join_equivalents(occurrences, ignore_case)
    return Analysis([*occurrences], len(found), len(text), size, [*occurrences.values()] if counts else None)


def _join_equivalents(occurrences: Counter[str], ignore_case: bool) -> Counter[str]:
    """Count each of the words in ``occurrences`` as the first one that is equivalent to it."""
    first: dict[str, str] = {}
    joined: Counter[str] = Counter()
    for word, count in occurrences.items():
        joined[first.setdefault(fold(word) if ignore_case else decompose(word), word)] += count
    return joined
