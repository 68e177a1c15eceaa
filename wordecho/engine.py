"""
Which engine answers: the native kernel where it was built, Python elsewhere. Both give the same octets.

The environment variable ``WORDECHO_NATIVE`` chooses: with 0 Python answers, with ``require`` it is an error if the
kernel is not there.
"""

from __future__ import annotations

import os
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
    """
    Return the engine for the value ``wanted`` of the environment variable.

    :raises ImportError: if the native kernel is required and not there.
    """
    if wanted == "0":
        return cast(Engine, python_engine)
    try:
        return cast(Engine, import_module("wordecho.native_engine"))
    except ImportError as error:
        if wanted == "require":
            raise ImportError(
                f"WORDECHO_NATIVE=require, and the native kernel is not there ({error}); install wordecho where there "
                f"is a C compiler, or unset WORDECHO_NATIVE to have Python answer."
            ) from error
        return cast(Engine, python_engine)


_WANTED = os.environ.get("WORDECHO_NATIVE")
ENGINE = choose(_WANTED)


def versions() -> str:
    """Say which engine answers in this process, and by which versions of what."""
    engine = f"{ENGINE.NAME} engine"
    if ENGINE is python_engine and _WANTED != "0":
        engine += " (the native kernel is not built)"
    return f"wordecho {version('wordecho')}, {engine}, Unicode {UNICODE_VERSION}, ICU {icu_version}"
