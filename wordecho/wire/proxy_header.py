"""
The header of the PROXY protocol: who a proxy's connection is really from.

A load balancer that hands a connection on tells its own address to the server, not its client's. With the PROXY
protocol it sends a header first, which has both ends of the client's connection
(https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, versions 1 and 2).
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

_SIGNATURE_1 = b"PROXY "
_MAX_HEADER_1 = 107  # octets, the line ending counted
_SIGNATURE_2 = b"\r\n\r\n\0\r\nQUIT\n"
_START_2 = struct.Struct("!12s B B H")  # signature; version and command; family and protocol; octets that follow


class Header(NamedTuple):
    """
    A header of the PROXY protocol.

    :ivar size: how many octets it has
    :ivar source: the client's address, None where the proxy speaks for itself or does not know
    :ivar destination: the address that the client has connected to, likewise
    """

    size: int
    source: IAddress | None = None
    destination: IAddress | None = None


def parse(data: bytes) -> Header | None:
    """
    Return the header that ``data`` begins with, None where it is not complete yet.

    :raises ValueError: if ``data`` does not begin with a header.
    """
    if data.startswith(_SIGNATURE_2):
        return _parse_2(data)
    if data.startswith(_SIGNATURE_1):
        return _parse_1(data)
    if _SIGNATURE_1.startswith(data) or _SIGNATURE_2.startswith(data):
        return None
    raise ValueError("no signature")


def _parse_1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _MAX_HEADER_1)
    if end == -1:
        if len(data) >= _MAX_HEADER_1:
            raise ValueError("no end")
        return None
    size = end + 2
    match data[:end].decode("ascii").split(" "):
        case ["PROXY", "UNKNOWN", *_]:
            return Header(size)
        case ["PROXY", "TCP4", source, destination, source_port, destination_port]:
            return Header(size, _tcp(IPv4(source), source_port), _tcp(IPv4(destination), destination_port))
        case ["PROXY", "TCP6", source, destination, source_port, destination_port]:
            return Header(size, _tcp(IPv6(source), source_port), _tcp(IPv6(destination), destination_port))
    raise ValueError("no addresses")


def _tcp(host: IPv4 | IPv6, port: int | str) -> IAddress:
    if not re.fullmatch("[0-9]{1,5}", str(port)) or int(port) > 65535:
        raise ValueError("no port")
    if "%" in str(host):  # a zone means something on the proxy only, and may be any text
        raise ValueError("a zone")
    if isinstance(host, IPv6) and host.ipv4_mapped is not None:
        host = host.ipv4_mapped  # one client, one address, whichever way the proxy has it
    return (IPv4Address if isinstance(host, IPv4) else IPv6Address)("TCP", str(host), int(port))


def _parse_2(data: bytes) -> Header | None:
    if len(data) < _START_2.size:
        return None
    _, version_and_command, family_and_protocol, length = _START_2.unpack_from(data)
    if version_and_command not in (0x20, 0x21):
        raise ValueError("an unknown version or command")
    size = _START_2.size + length
    if len(data) < size:
        return None
    if version_and_command == 0x20:  # the proxy's own connection, a health check for example
        return Header(size)
    rest = data[_START_2.size : size]
    try:
        match family_and_protocol:
            case 0x11:
                source, destination, source_port, destination_port = struct.unpack_from("!4s4sHH", rest)
                return Header(size, _tcp(IPv4(source), source_port), _tcp(IPv4(destination), destination_port))
            case 0x21:
                source, destination, source_port, destination_port = struct.unpack_from("!16s16sHH", rest)
                return Header(size, _tcp(IPv6(source), source_port), _tcp(IPv6(destination), destination_port))
            case 0x31:
                paths = struct.unpack_from("108s108s", rest)
                source, destination = (path.partition(b"\0")[0] or None for path in paths)
                return Header(size, UNIXAddress(source), UNIXAddress(destination))
    except struct.error:
        raise ValueError("no addresses") from None
    return Header(size)  # a family that is not known here: the connection's own addresses hold
