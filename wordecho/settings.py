"""Every limit of the server, once: its name, what it is if nobody says otherwise, and what it may be."""

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
