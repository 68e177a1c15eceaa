"""
Which engine answers: the native kernel where it was built, Python elsewhere. Both give the same octets.

With 0 in the environment variable ``WORDECHO_NATIVE``, Python answers all the same.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Protocol, cast

from icu4py import icu_version

from wordecho.text.characters import UNICODE_VERSION
from wordecho.wire import python_engine


class Engine(Protocol):
    """What answers messages; :mod:`wordecho.wire.python_engine` says what its parts do."""

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


def choose(wanted: str | None) -> tuple[Engine, str]:
    """Return the engine for the value ``wanted`` of the environment variable, and why it is not the native one."""
    python = cast(Engine, python_engine)
    if wanted == "0":
        return python, "as WORDECHO_NATIVE=0"
    if find_spec("wordecho._native") is None:
        return python, "the native kernel is not built"
    try:
        return cast(Engine, import_module("wordecho.wire.native_engine")), ""
    except ImportError as error:
        return python, f"the native kernel cannot be loaded: {error}"


ENGINE, _WHY_NOT_NATIVE = choose(os.environ.get("WORDECHO_NATIVE"))


def versions() -> str:
    """Say which engine answers in this process, and by which versions of what."""
    engine = f"{ENGINE.NAME} engine" + (f" ({_WHY_NOT_NATIVE})" if _WHY_NOT_NATIVE else "")
    return f"wordecho {version('wordecho')}, {engine}, Unicode {UNICODE_VERSION}, ICU {icu_version}"
