"""
What makes two spellings one: the normal forms (Unicode Standard Annex #15) and case folding (The Unicode Standard,
section 3.13) of one version of Unicode, whichever the Python that runs has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category, is_normalized, normalize

from wordecho.text.characters import COMBINING, COMBINING_CLASSES, DECOMPOSITIONS, FOLDINGS

# The arithmetic of Hangul syllables: The Unicode Standard, section 3.12.
_S_BASE, _L_BASE, _V_BASE, _T_BASE = 0xAC00, 0x1100, 0x1161, 0x11A7
_V_COUNT, _T_COUNT, _S_COUNT = 21, 28, 11_172


class _Decompositions(dict[int, str]):
    """What :meth:`str.translate` puts in place of each character that has a canonical decomposition."""

    def __missing__(self, code: int) -> str:
        index = code - _S_BASE
        if not 0 <= index < _S_COUNT:
            raise LookupError
        vowel, trailing = divmod(index % (_V_COUNT * _T_COUNT), _T_COUNT)
        parts = [_L_BASE + index // (_V_COUNT * _T_COUNT), _V_BASE + vowel]
        return "".join(map(chr, parts + [_T_BASE + trailing] * (trailing > 0)))


def _mappings(table: str) -> Iterator[tuple[int, str]]:
    for entry in table.removesuffix(" ").split(" "):  # some that are mapped are white space themselves
        yield ord(entry[0]), entry[1:]


_DECOMPOSITIONS = _Decompositions(_mappings(DECOMPOSITIONS))
_FOLDINGS = dict(_mappings(FOLDINGS))
_COMBINING_CLASSES = {
    character: int(combining_class)
    for combining_class, _, characters in (entry.partition("=") for entry in COMBINING_CLASSES.split())
    for character in characters
}

_MARKS = re.compile(f"[{''.join(_COMBINING_CLASSES)}]{{2,}}")

# A Hangul syllable in its parts, or a part of one and what may complete it.
_SYLLABLE = "[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|[\uac00-\ud7a3][\u11a8-\u11c2]"

# A character with those that a normal form may join to it or move among each other, and a character that has another
# form alone.
_SEQUENCE = re.compile(f"(?:{_SYLLABLE}|[^\n])[{COMBINING}]+|{_SYLLABLE}|[{''.join(map(chr, _DECOMPOSITIONS))}]")

# What Python's own normal forms know nothing of, as it is of an older version of Unicode.
_NEWER = [each for each in [*map(chr, _DECOMPOSITIONS), *_COMBINING_CLASSES] if category(each) == "Cn"]
_find_newer = re.compile(
    f"(?=[{''.join(each for each in _NEWER if each < chr(0x10000))}\U00010000-\U0010ffff])[{''.join(_NEWER)}]"
    if _NEWER
    else "(?!)"
).search


def decompose(text: str) -> str:
    """Return ``text`` in NFD, in time linear in its length however many marks it has in a row."""
    if text.isascii():
        return text
    return _MARKS.sub(_put_in_order, text.translate(_DECOMPOSITIONS))


def _put_in_order(marks: re.Match[str]) -> str:
    # A stable sort, as the canonical ordering is. Python's own inserts each mark where it belongs, which takes seconds
    # for a hundred thousand of them.
    return "".join(sorted(marks[0], key=_COMBINING_CLASSES.__getitem__))


def fold(text: str) -> str:
    """Return what is the same of two texts that are a canonical caseless match (D145)."""
    return decompose(decompose(text).translate(_FOLDINGS))


def is_in_one_form(text: str) -> bool:
    """Whether ``text`` is all in NFD or all in NFC, so that no two strings in it that differ are equivalent."""
    if text.isascii():
        return True
    # What this Python does not know is not printable to it.
    return (is_normalized("NFC", text) or is_normalized("NFD", text)) and (text.isprintable() or not _find_newer(text))


def compose(text: str) -> tuple[str, list[int]]:
    """
    Return ``text`` in Python's own NFC, and where each of its characters begins in ``text``.

    A character that comes of several in another order begins nowhere, at -1. Last comes the length of ``text``.
    """
    composed: list[str] = []
    begins: list[int] = []
    end = 0
    for sequence in _SEQUENCE.finditer(text):
        start, next_end = sequence.span()
        form = normalize("NFC", sequence[0])
        same = 0  # characters at the end
        while same < len(form) - 1 and sequence[0].endswith(form[-1 - same :]):
            same += 1
        composed += text[end:start], form
        begins += [*range(end, start + 1), *[-1] * (len(form) - 1 - same), *range(next_end - same, next_end)]
        end = next_end
    composed.append(text[end:])
    return "".join(composed), [*begins, *range(end, len(text) + 1)]
