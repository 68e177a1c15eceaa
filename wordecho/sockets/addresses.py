"""Addresses as people write them."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IListeningPort


def show_address(address: IAddress) -> str:
    """Write ``address`` as people do, ready for the log."""
    match address:
        case IPv4Address(port=port):
            return f"{host_of(address)}:{port}"
        case IPv6Address(port=port):
            host = host_of(address)
            return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        case UNIXAddress(name=name):
            # The peer of a proxy may have any name, and it is to write nothing into the log but that.
            return f"unix:{os.fsdecode(name).encode('unicode_escape').decode()}" if name else "a local process"
        case _:
            return repr(address)


def host_of(address: IAddress) -> str | None:
    """
    Return the IP address of ``address``, None where it has none.

    A socket that takes both families shows an IPv4 peer as an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2);
    here it is an IPv4 address again.
    """
    host: str | None = getattr(address, "host", None)
    return host.removeprefix("::ffff:") if host is not None and "." in host else host


def is_local(host: str) -> bool:
    """Whether the IP address ``host`` is one of this machine, as a socket that goes there would find."""
    if ip_address(host.removeprefix("::ffff:")).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # which sends nothing
        except OSError:
            return False
        return bool(probe.getsockname()[0] == host)


def show_port(port: IListeningPort) -> str:
    """Write where ``port`` listens as people do, ready for the log."""
    address: Any = port.getHost()
    shown = show_address(address)
    if isinstance(address, IPv6Address) and address.host == "::" and not _is_ipv6_only(port):
        shown += f" and 0.0.0.0:{address.port}"
    return f"{shown} (UDP)" if getattr(address, "type", None) == "UDP" else shown


def _is_ipv6_only(port: Any) -> bool:
    return bool(port.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
