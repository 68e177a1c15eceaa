"""
Every limit of the server and of its workers, once: its name, what it is if nobody says otherwise, and what it may be.

What concerns any socket, whoever has it, is in :mod:`wordecho.sockets`.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_SECONDS = 604_800  # a week; far above it the reactor's own arithmetic with milliseconds ends


@dataclass(frozen=True)
class Setting:
    """
    A limit that has an option.

    :ivar name: that of the option, without its dashes
    :ivar default: what it is where the option is not given
    :ivar unit: what it counts
    :ivar least: the least that it may be
    :ivar most: the most
    """

    name: str
    default: int
    unit: str
    least: int
    most: int


PORT = Setting("port", 65432, "", 0, 65535)
MAX_LENGTH = Setting("max-length", 65536, "bytes", 1, 2**30)
MAX_CONNECTIONS = Setting("max-connections", 10_000, "connections", 1, 10**6)
MAX_CONNECTIONS_PER_HOST = Setting("max-connections-per-host", 0, "connections", 0, 10**6)
IDLE_TIMEOUT = Setting("idle-timeout", 300, "seconds", 0, MAX_SECONDS)
HANDSHAKE_TIMEOUT = Setting("handshake-timeout", 5, "seconds", 0, MAX_SECONDS)
QUIET_PERIOD = Setting("quiet-period", 2, "seconds", 0, MAX_SECONDS)
DRAIN_TIMEOUT = Setting("drain-timeout", 10, "seconds", 0, MAX_SECONDS)
UDP_RATE = Setting("udp-rate", 10_000, "datagrams", 0, 10**6)
WORKERS = Setting("workers", 1, "processes", 1, 1024)

# What has no option.

FAREWELL_TIMEOUT = 5
"""Seconds that a peer which was sent away has to read the reason before its connection is cut."""

MAX_STRANGERS = 512
"""
Connections at once that are no guests: newcomers, and refused ones that have this time.

So many as a crowd that comes at once may have, and so few that a flood uses up neither descriptors nor memory: one in a
handshake of TLS may take 80 kB.
"""

TURN = 0.001
"""Seconds that the messages of one connection may take in one turn, before others come first."""

MOST_BUCKETS = 4096
"""Addresses whose datagrams are counted at once; beyond them the one that was quiet longest is forgotten."""

DRAIN_GRACE = 0.25
"""
Seconds without a byte after which a peer is taken to have sent, when the server stops, what it had sent by then.

What its kernel holds back until an earlier reply is acknowledged (Nagle's algorithm) may take 0.2 s to arrive.
"""

DRAIN_SETTLE = 0.1
"""Seconds in which connections that the kernels have begun come about, once no new ones are begun."""

SPARE_DESCRIPTORS = MAX_STRANGERS + 128
"""
Descriptors that the process needs besides those of the guests.

Those are the strangers', the standard streams, the reactor's, the ports and the log.
"""

LONGEST_SILENCE = 60
"""
Seconds without a report after which a worker is taken for dead.

One that starts has its modules to load first; one that serves says nothing while it answers whatever one poll has
brought, which hostile peers can make a matter of half a minute. To kill it for that would cut off everybody else.
"""

LEAST_RATE = 100_000
"""Octets of one message that a worker answers in a second, at least; while it does, it reports nothing."""

SPARE_TIME = 5
"""Seconds that a worker may take to end, besides those that its connections may."""

SHORTEST_DELAY = 0.125
LONGEST_DELAY = 10
"""
Seconds before the next worker takes the place of one that has failed.

They double with each that fails in its turn, and begin anew when one has served for as long as the longest of them.
"""
