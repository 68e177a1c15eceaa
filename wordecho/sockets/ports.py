"""What a listening port should do that Twisted's does not: lose no connection at its end."""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.interfaces import IReadDescriptor

BACKLOG = 1024  # connections that may wait to be accepted


def has_pending(port: Any) -> bool:
    """Whether a connection waits to be accepted, or a datagram to be read."""
    if not hasattr(select, "poll"):  # Windows, where select() takes a descriptor of any number
        return bool(select.select([port], [], [], 0)[0])
    poller = select.poll()
    poller.register(port, select.POLLIN)
    return bool(poller.poll(0))


def accept_pending(port: Any) -> None:
    """Accept the connections in the backlog of ``port``; their clients take them for made already."""
    if IReadDescriptor.providedBy(port):
        for _ in range(BACKLOG):  # a flood of new ones must not hold up the stop
            if not has_pending(port):
                break
            port.doRead()
