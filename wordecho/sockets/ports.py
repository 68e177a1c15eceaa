"""What a listening port should do that Twisted's does not: lose no connection at its end."""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import sys
from typing import Any

from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure

BACKLOG = 1024  # connections that may wait to be accepted

# A program of the classic BSD packet filter (Linux, Documentation/networking/filter.rst): a segment of TCP whose octet
# 13, the flags, has the bit SYN is dropped, every other one is taken.
_DROP_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # ld  [13], one octet
        (0x45, 0, 1, 0x02),  # jset SYN: the next instruction, or else the one after it
        (0x06, 0, 0, 0),  # ret 0
        (0x06, 0, 0, 0xFFFFFFFF),  # ret all
    )
)
_SO_ATTACH_FILTER = 26


def has_pending(port: Any) -> bool:
    """Whether a connection waits to be accepted."""
    if not hasattr(select, "poll"):  # Windows, where select() takes a descriptor of any number
        return bool(select.select([port], [], [], 0)[0])
    poller = select.poll()
    poller.register(port, select.POLLIN)
    return bool(poller.poll(0))


def turn_newcomers_away(port: Any) -> bool:
    """
    Have the kernel begin no more connections to ``port``, those that it has begun excepted; return whether it does.

    Their clients try again after a second, and find the port closed. Without this, whom the kernel takes between the
    last accept and the close is reset.
    """
    if sys.platform != "linux" or port.socket.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
    try:
        port.socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(program))
        )
    except OSError:
        return False
    return True


def close(port: Any) -> None:
    """Accept the connections that wait at ``port``, whose clients take them for made already, and close it at once."""
    port.stopReading()
    most = port.sessionno + BACKLOG  # a flood of new ones must not hold up the stop
    while has_pending(port) and port.sessionno < most:
        accepted_before = port.sessionno
        port.doRead()
        if port.sessionno == accepted_before:
            break
    # Twisted's own way closes it a turn later, and the kernel resets whom it has taken meanwhile.
    port.connectionLost(Failure(CONNECTION_DONE))
