"""
A word-analysis server and client: a message goes in over a socket, its unique words and its total length come back.

``twistd wordecho`` is the server, ``python -m wordecho.client`` the client. The names below are for programs: the
analysis itself, and the two ends, which are imported when they are first asked for, and Twisted with them (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from icu4py import icu_version as ICU_VERSION

from wordecho.text.analysis import Analysis, analyze
from wordecho.text.characters import UNICODE_VERSION
from wordecho.wire.engine import ENGINE as _ENGINE

if TYPE_CHECKING:
    from wordecho.client.connection import connect
    from wordecho.server.factory import WordEchoFactory

ENGINE = _ENGINE.NAME
"""What answers messages in this process: "native" or "Python"."""

_ON_DEMAND = {"WordEchoFactory": "wordecho.server.factory", "connect": "wordecho.client.connection"}

__all__ = ["ENGINE", "ICU_VERSION", "UNICODE_VERSION", "Analysis", "WordEchoFactory", "analyze", "connect"]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
