"""Bound sockets: one for both families, and several on one port."""

from __future__ import annotations

import errno
import os
import socket

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError


def bind(kind: socket.SocketKind, port: int, interface: str | None = None, *, shared: bool = False) -> socket.socket:
    """
    Return a socket that is bound to ``port``.

    :param kind: SOCK_STREAM or SOCK_DGRAM
    :param interface: the one address; None for every address, IPv6 and IPv4, or IPv4 alone where there is no IPv6
    :param shared: whether other sockets that are bound so may have the same port (SO_REUSEPORT)
    :raises CannotListenError: if the port is taken, or may not be had.
    """
    try:
        if interface is not None:
            family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
            return _bind(family, kind, port, interface, shared)
        if socket.has_dualstack_ipv6():
            try:
                return _bind(socket.AF_INET6, kind, port, "", shared)
            except OSError as error:
                # A kernel may know IPv6 and yet have none, as where an administrator has turned it off.
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        return _bind(socket.AF_INET, kind, port, "", shared)
    except OSError as error:
        raise CannotListenError(interface or "", port, error) from None


def _bind(
    family: socket.AddressFamily, kind: socket.SocketKind, port: int, interface: str, shared: bool
) -> socket.socket:
    bound = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6 and not interface:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM and os.name == "posix":
            # Elsewhere this would let two servers have the same port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((interface, port))
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound
