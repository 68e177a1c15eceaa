"""
Which engine answers: the native kernel where it was built, Python elsewhere. Both give the same octets.

With 0 in the environment variable ``WORDECHO_NATIVE``, Python answers all the same.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from typing import Protocol, cast

from icu4py import icu_version

from wordecho import python_engine
from wordecho.characters import UNICODE_VERSION


class Engine(Protocol):
    """What answers messages; :mod:`wordecho.python_engine` says what its parts do."""

    NAME: str

    def answer(
        self,
        message: bytes,
        max_length: int = ...,
        ignore_case: bool = ...,
        counts: bool = ...,
        *,
        terminated: bool = ...,
    ) -> bytes: ...

    def answer_lines(self, lines: bytes, ignore_case: bool = ..., counts: bool = ...) -> bytes: ...


def choose(wanted: str | None) -> Engine:
    """Return the engine for the value ``wanted`` of the environment variable."""
    if wanted != "0":
        with suppress(ImportError):
            return cast(Engine, import_module("wordecho.native_engine"))
    return cast(Engine, python_engine)


_WANTED = os.environ.get("WORDECHO_NATIVE")
ENGINE = choose(_WANTED)


def versions() -> str:
    """Say which engine answers in this process, and by which versions of what."""
    engine = f"{ENGINE.NAME} engine"
    if ENGINE is python_engine and _WANTED != "0":
        engine += " (the native kernel is not built)"
    return f"wordecho {version('wordecho')}, {engine}, Unicode {UNICODE_VERSION}, ICU {icu_version}"
