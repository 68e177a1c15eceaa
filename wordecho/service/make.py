"""From the command line to the service: what ``twistd`` calls."""

from __future__ import annotations

import time
from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet.interfaces import IReactorTime

from wordecho.server.factory import WordEchoFactory
from wordecho.service import worker
from wordecho.service.options import Options
from wordecho.service.service import WordEchoService
from wordecho.wire import DEFAULT_PORT


def use_monotonic_clock(reactor: Any) -> None:
    """
    Have ``reactor`` tell the time by a clock that never jumps.

    Twisted's reactors go by the wall clock: set forward, it would time out every connection at once; set back, no timer
    would run until it has caught up.
    """
    if not reactor.getDelayedCalls():  # those would never run
        reactor.seconds = time.monotonic


def makeService(options: Options) -> IService:
    """Make the service of ``twistd wordecho`` as its command line has it."""
    from twisted.internet import reactor

    use_monotonic_clock(reactor)
    if options["workers"] > 1:
        return _make_workers(options)
    factory = WordEchoFactory(
        cast(IReactorTime, reactor),
        max_length=options["max-length"],
        max_connections=options["max-connections"],
        max_connections_per_host=options["max-connections-per-host"],
        idle_timeout=options["idle-timeout"],
        quiet_period=options["quiet-period"],
        ignore_case=bool(options["ignore-case"]),
        counts=bool(options["counts"]),
    )
    service = WordEchoService(options.endpoints, factory, drain_timeout=options["drain-timeout"])
    if not options["worker"]:
        return service
    both = MultiService()
    service.setServiceParent(both)
    worker.end_with(options["worker"], reactor).setServiceParent(both)
    return both


def _make_workers(options: Options) -> IService:
    from twisted.internet import reactor

    from wordecho.service.supervisor import WorkersService  # which cannot be imported before a reactor is chosen

    chosen = options.parent.get("reactor") if options.parent else None
    arguments = ["-n", "--pidfile=", *([f"--reactor={chosen}"] if chosen else [])]
    arguments += ["wordecho", *options.arguments, "--workers=1"]
    port = DEFAULT_PORT if options["port"] is None else options["port"]
    return WorkersService(
        reactor, options["interface"], port, options["workers"], arguments, drain_timeout=options["drain-timeout"]
    )
