"""
A word-analysis server and client: a message goes in over a socket, its unique words and its total length come back.

``twistd wordecho`` is the server, ``python -m wordecho.client`` the client. The names below are for programs that want
the analysis itself; :mod:`wordecho.server` and :mod:`wordecho.client` have the protocols and their factories.
"""

from wordecho.analysis import Analysis, analyze

__all__ = ["Analysis", "analyze"]
