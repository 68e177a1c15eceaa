"""
A word-analysis server and client: a message goes in over a socket, its unique words and its total length come back.

``twistd wordecho`` is the server, ``python -m wordecho.client`` the client. The names below are for programs that want
the analysis itself; :mod:`wordecho.server` and :mod:`wordecho.client` have the protocols and their factories.
"""

from icu4py import icu_version as ICU_VERSION

from wordecho.text.analysis import Analysis, analyze
from wordecho.text.characters import UNICODE_VERSION
from wordecho.wire.engine import ENGINE as _ENGINE

ENGINE = _ENGINE.NAME
"""What answers messages in this process: "native" or "Python"."""

__all__ = ["ENGINE", "ICU_VERSION", "UNICODE_VERSION", "Analysis", "analyze"]
