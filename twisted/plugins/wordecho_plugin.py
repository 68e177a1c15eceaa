"""Tells twistd that there is a ``wordecho`` command; what it does is in :mod:`wordecho.service`."""

from twisted.application.service import ServiceMaker

wordecho = ServiceMaker(
    "wordecho",
    "wordecho.service",
    "A word-analysis server: a message in, its unique words and total length out.",
    "wordecho",
)
