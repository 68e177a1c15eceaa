"""
What only the operating system knows of a connection.

Where a platform or a transport cannot tell, each function says what its caller can do without knowing.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]


def unacknowledged_octets(transport: Any) -> int:
    """Return how many octets the peer's kernel has not acknowledged yet, 0 where that is not known."""
    if fcntl is None or not hasattr(transport, "fileno"):
        return 0
    try:
        answer = fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except (OSError, ValueError):  # it is closed
        return 0
    octets: int = struct.unpack("i", answer)[0]
    return octets


# Where tcpi_bytes_acked (RFC 4898: tcpEStatsAppHCThruOctetsAcked) stands in Linux's struct tcp_info.
_BYTES_ACKED = struct.Struct("=120xQ")


def acknowledged_octets(transport: Any) -> int | None:
    """Return how many octets the peer's kernel has acknowledged since the connection began, None where not known."""
    try:
        info = transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        octets: int = _BYTES_ACKED.unpack(info)[0]
    except (AttributeError, OSError, struct.error):
        return None
    return octets
