"""The two engines, and what the tests of both of them go by."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast
from unittest import SkipTest

from unicode.make_tables import WORD_BREAK, property_of, records
from wordecho.text import words
from wordecho.wire import python_engine
from wordecho.wire.engine import Engine

try:
    from wordecho import _native
    from wordecho.wire import native_engine
except ImportError as missing:
    NATIVE: Engine | None = None
    WHY_NOT = str(missing)
else:
    NATIVE = cast(Engine, native_engine)
PYTHON = cast(Engine, python_engine)

ZWJ = "\N{ZERO WIDTH JOINER}"


def pieces(engine: Engine, text: str) -> list[tuple[str, bool]]:
    """Return the pieces into which ``engine`` cuts ``text`` by the default rules, and whether each is a word."""
    if engine is PYTHON:
        return [(piece, bool(words.words(piece))) for piece in words.pieces(text)]
    return [(piece.decode(), is_word) for piece, is_word in _native.pieces(text.encode())]


class NativeTestCase:
    """Skips its tests where the kernel is not built."""

    @classmethod
    def setUpClass(cls) -> None:
        if NATIVE is None:
            raise SkipTest(f"the native kernel is not built here: {WHY_NOT}")


def by_each_engine(module: str, case: type, **attributes: Any) -> dict[str, type]:
    """Return a case for each engine, by its name, that has the tests of ``case`` and the attribute ``engine``."""
    attributes["__module__"] = module
    return {
        name: type(name, bases, {"engine": engine, **attributes})
        for name, bases, engine in (
            (f"{case.__name__}ByPython", (case,), PYTHON),
            (f"{case.__name__}ByKernel", (NativeTestCase, case), NATIVE),
        )
    }


def replace_by_each_engine(names: dict[str, Any], *cases: type) -> None:
    """Put into the ``names`` of a module a case for each engine in place of each of ``cases``."""
    for case in cases:
        del names[case.__name__]
        names.update(by_each_engine(names["__name__"], case))


def _class_of(characters: set[str]) -> str:
    return "[" + "".join(re.escape(character) for character in sorted(characters)) + "]"


def _with(value: str) -> set[str]:
    return {chr(code) for code, found in property_of("WordBreakProperty.txt").items() if found == value}


_PICTOGRAPHIC = {chr(code) for code in property_of("emoji-data.txt", "Extended_Pictographic")}
_BETWEEN = set().union(*map(_with, ("MidLetter", "MidNum", "MidNumLet", "Single_Quote", "Double_Quote")))
_MARKS = set().union(*map(_with, ("Extend", "Format", "ZWJ")))

# The Python engine's splitter has two faults; both are told in docs/words.rst. It misses the boundary before
# punctuation that a joiner ties to an emoji, and after a joiner it forgets that some emoji are letters.
FAULTS = re.compile(
    f"{_class_of(_BETWEEN)}{_class_of(_MARKS)}*{ZWJ}{_class_of(_PICTOGRAPHIC)}"
    f"|{ZWJ}{_class_of(_PICTOGRAPHIC & _with('ALetter'))}"
)


@cache
def representatives() -> list[str]:
    """Return characters of every kind that the kernel knows: the first and the last of each."""
    first: dict[Any, int] = {}
    last: dict[Any, int] = {}
    for code, record in enumerate(records()):
        if not 0xD800 <= code < 0xE000:
            first.setdefault(record, code)
            last[record] = code
    found = sorted({*first.values(), *last.values()})
    assert len({record.class_name for record in first}) == len(WORD_BREAK) + 2
    return list(map(chr, found))
