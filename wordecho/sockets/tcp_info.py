"""
What only the operating system knows of a connection.

Where a platform or a transport cannot tell, each function says what its caller can do without knowing.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.protocols.policies import ProtocolWrapper

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]


def unacknowledged_octets(transport: Any) -> int:
    """Return how many octets the peer's kernel has not acknowledged yet, 0 where that is not known."""
    return 0 if fcntl is None else _ask(transport, termios.TIOCOUTQ)


def unread_octets(transport: Any) -> int:
    """Return how many octets have come from the peer that nobody has read yet, 0 where that is not known."""
    return 0 if fcntl is None else _ask(transport, termios.FIONREAD)


def _ask(transport: Any, request: int) -> int:
    try:
        answer = fcntl.ioctl(transport.fileno(), request, struct.pack("i", 0))
    except (AttributeError, OSError, ValueError):  # it has no descriptor, or is closed
        return 0
    octets: int = struct.unpack("i", answer)[0]
    return octets


# Where tcpi_bytes_acked (RFC 4898: tcpEStatsAppHCThruOctetsAcked) stands in Linux's struct tcp_info.
_BYTES_ACKED = struct.Struct("=120xQ")


def acknowledged_octets(transport: Any) -> int | None:
    """Return how many octets the peer's kernel has acknowledged since the connection began, None where not known."""
    while isinstance(transport, ProtocolWrapper):  # TLS has a handle of its own, which is no socket
        transport = transport.transport
    try:
        info = transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        octets: int = _BYTES_ACKED.unpack(info)[0]
    except (AttributeError, OSError, struct.error):
        return None
    return octets
