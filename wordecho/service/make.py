"""From the command line to the service: what ``twistd`` calls."""

from __future__ import annotations

from functools import partial
from typing import cast

from twisted.application.service import IService, MultiService
from twisted.internet.interfaces import IReactorTime

from wordecho.server.factory import WordEchoFactory
from wordecho.service import worker
from wordecho.service.options import Options
from wordecho.service.service import WordEchoService
from wordecho.service.workers import WorkersService
from wordecho.settings import LEAST_RATE, LONGEST_SILENCE, PORT
from wordecho.sockets.amendments import use_monotonic_clock


def makeService(options: Options) -> IService:
    """Make the service of ``twistd wordecho`` as its command line has it."""
    from twisted.internet import reactor

    use_monotonic_clock(reactor)
    if options["workers"] > 1 and not worker.is_worker():
        return _make_workers(options)
    factory = WordEchoFactory(
        cast(IReactorTime, reactor),
        max_length=options["max-length"],
        max_connections=options["max-connections"],
        max_connections_per_host=options["max-connections-per-host"],
        idle_timeout=options["idle-timeout"],
        handshake_timeout=options["handshake-timeout"],
        quiet_period=options["quiet-period"],
        ignore_case=bool(options["ignore-case"]),
        counts=bool(options["counts"]),
    )
    service = WordEchoService(options.endpoints, factory, drain_timeout=options["drain-timeout"])
    if not worker.is_worker():
        return service
    both = MultiService()
    service.setServiceParent(both)
    worker.ReportingService(reactor, partial(worker.report_on, factory.guests)).setServiceParent(both)
    return both


def _make_workers(options: Options) -> IService:
    from twisted.internet import reactor

    chosen = [f"--reactor={options.reactor_name}"] if options.reactor_name else []
    return WorkersService(
        reactor,
        options["interface"],
        PORT.default if options["port"] is None else options["port"],
        options["workers"],
        ["-n", "--pidfile=", *chosen, "wordecho", *options.arguments],
        drain_timeout=options["drain-timeout"],
        longest_silence=LONGEST_SILENCE + options["max-length"] // LEAST_RATE,
    )
