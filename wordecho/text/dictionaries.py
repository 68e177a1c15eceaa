"""ICU's dictionaries of the scripts that put no spaces between words, and how to ask them for less."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from unicodedata import is_normalized, normalize

from icu4py.breakers import WordBreaker

from wordecho.text.characters import DICTIONARY_CHARACTERS
from wordecho.text.normal_forms import compose

# Most text that needs a dictionary is plain: ASCII but for the low line, Thai with nothing but spaces around it,
# Hiragana, the common ideographs, and their punctuation. By itself ICU cuts it as the default rules and the dictionary
# together do, in half the time.
_THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
_find_what_is_not_plain = re.compile(
    f"[^\0-\t\x0b\x0c\x0e-^`-\x7f{_THAI}\u3041-\u3096\u4e00-\u9fff\u2014\u2018-\u201d\u2026\u3001-\u3002\uff01-\uff1f]"
).search
_find_thai = re.compile(f"[{_THAI}]").search
_find_what_touches_thai = re.compile(f"[^{_THAI} ](?:(?=[{_THAI}])|(?<=[{_THAI}].))").search

# The marks of kana of the script Common, but for the prolonged sound mark, which ICU's dictionary has.
_find_what_cannot_share = re.compile(f"[^{DICTIONARY_CHARACTERS}]|[\u3031-\u3035\u309b\u309c\u30a0]").search

# ICU loads its dictionary of Chinese and Japanese at the first ideograph or kana letter that it is given, and cuts runs
# that start with a prolonged sound mark in another way until then.
list(WordBreaker("\u306e\u306e", "und"))


def cut(runs: list[str]) -> list[list[str]]:
    """
    Cut each of ``runs`` as if it stood alone.

    A breaker takes longer to make than a short run to cut. So all runs are one text, with line feeds between them, each
    of which is always a boundary. ICU's dictionaries are of text in NFC; what is not is composed first.

    :param runs: texts without line feeds, each of which :func:`can_share` or :func:`is_plain`, or a single one
    """
    if not runs:
        return []
    text = "\n".join(runs)
    found = WordBreaker(text, "und") if is_normalized("NFC", text) else _cut_composed(text)
    pieces = ["\n", *found, "\n"]
    ends = [index for index, piece in enumerate(pieces) if piece == "\n"]
    return [pieces[start + 1 : end] for start, end in pairwise(ends)]


def _cut_composed(text: str) -> Iterator[str]:
    composed, begins = compose(text)
    start = at = 0
    for piece in WordBreaker(composed, "und"):
        at += len(piece)
        if begins[at] >= 0:
            yield text[start : begins[at]]
            start = begins[at]


def can_share(run: str) -> bool:
    """
    Whether ``run`` can be cut together with others.

    Where a breaker finds a character in a run that none of its dictionaries has, it takes all characters of that
    character's script for such ones from then on. With Common that would be the prolonged sound mark too.
    """
    return not _find_what_cannot_share(normalize("NFC", run))


def is_plain(text: str) -> bool:
    """Whether :func:`cut` cuts ``text`` as the default rules, and it the runs in it, would."""
    return not (_find_what_is_not_plain(text) or (_find_thai(text) and _find_what_touches_thai(text)))
