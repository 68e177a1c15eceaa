"""
A worker of ``twistd wordecho --workers``, seen from the inside: what it is given, and what it says.

It is a ``twistd wordecho`` with the options of its supervisor. That it is a worker its environment says, since an
option would stand in ``--help`` for anybody to give. It has a listening socket and the ends of two pipes: it reports by
one of them, and nothing ever comes by the other, its standard input, but the end, which is that of its supervisor.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from wordecho.server.guests import Guests
from wordecho.service.reports import INTERVAL, Report

VARIABLE = "WORDECHO_WORKER"  # in the environment of a worker: its number

# The descriptors that a worker is given, besides its standard output and error for its log.
LIFELINE = 0
LISTENING = 3
REPORTS = 4


def can_share_port() -> bool:
    """Whether several processes may accept connections on one port here."""
    return hasattr(socket, "SO_REUSEPORT") and hasattr(os, "fork")


def is_worker() -> bool:
    """Whether this process is a worker."""
    return VARIABLE in os.environ


def adopted_endpoint(reactor: Any) -> AdoptedStreamServerEndpoint:
    """Return the endpoint of the listening socket that this worker was given."""
    with socket.socket(fileno=os.dup(LISTENING)) as listening:
        family = listening.family
    return AdoptedStreamServerEndpoint(reactor, LISTENING, family)


def report_on(guests: Guests) -> Report:
    """Return the report of the moment."""
    return Report(connections=len(guests), taken=guests.taken)


@implementer(IPushProducer)
class Reporter(Protocol):
    """
    The worker's end of its pipes. At the end of its supervisor it stops ``reactor``, so that the worker drains.

    :param report: makes the report of the moment
    """

    def __init__(self, reactor: Any, report: Callable[[], Report]) -> None:
        self._reactor = reactor
        self._report = report
        self._reporting = LoopingCall(self._say)
        self._reporting.clock = reactor

    def connectionMade(self) -> None:
        # A supervisor that does not read must not have reports pile up here.
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]
        self._reporting.start(INTERVAL)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.stopProducing()
        with suppress(ReactorNotRunning):  # it has stopped already
            self._reactor.stop()

    def pauseProducing(self) -> None:
        self._reporting.stop()

    def resumeProducing(self) -> None:
        self._reporting.start(INTERVAL)

    def stopProducing(self) -> None:
        if self._reporting.running:
            self._reporting.stop()

    def _say(self) -> None:
        self.transport.write(self._report().line())  # type: ignore[union-attr]


class ReportingService(Service):
    """Reports to the supervisor from the start on until the process ends: who drains is alive too."""

    def __init__(self, reactor: Any, report: Callable[[], Report]) -> None:
        self._reactor = reactor
        self._report = report

    def startService(self) -> None:
        from twisted.internet.stdio import StandardIO

        super().startService()
        reporter = Reporter(self._reactor, self._report)
        StandardIO(reporter, LIFELINE, REPORTS, self._reactor)  # type: ignore[call-arg]  # to mypy it is that of Windows
