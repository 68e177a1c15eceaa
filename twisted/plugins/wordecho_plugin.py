"""
Tells twistd that there is a ``wordecho`` command, and a reactor that any of its commands can run on.

What they do is in :mod:`wordecho.service` and :mod:`wordecho.reactor`.
"""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker

wordecho = ServiceMaker(
    "wordecho",
    "wordecho.service",
    "A word-analysis server: a message in, its unique words and total length out.",
    "wordecho",
)
eager_epoll = Reactor("eager-epoll", "wordecho.reactor", "epoll(7) based reactor that sends before it polls.")
