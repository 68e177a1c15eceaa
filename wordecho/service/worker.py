"""What a worker of ``twistd wordecho --workers`` has: a socket that it is given, and an end with its parent's."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.application.internet import TimerService

ADOPTED = 3  # the descriptor of the listening socket that the supervisor gives a worker


def can_share_port() -> bool:
    """Whether several processes may accept connections on one port here."""
    return hasattr(socket, "SO_REUSEPORT") and hasattr(os, "fork")


def adopted_family() -> socket.AddressFamily:
    """Return the address family of the socket that this worker was given."""
    with socket.socket(fileno=os.dup(ADOPTED)) as adopted:
        return adopted.family


def end_with(supervisor: int, reactor: Any) -> TimerService:
    """Return the service that stops ``reactor`` when this process is no longer a child of process ``supervisor``."""
    # A SIGINT from a terminal is for the supervisor alone, which tells the workers; two of them cut connections off.
    os.setpgrp()

    def look() -> None:
        if os.getppid() != supervisor and reactor.running:
            reactor.stop()

    return TimerService(1, look)
