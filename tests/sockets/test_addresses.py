"""What is promised of addresses as people write them."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from wordecho.sockets.addresses import host_of, show_address


class AddressTests(SynchronousTestCase):
    def test_addresses_read_as_people_write_them(self) -> None:
        for address, shown in (
            (IPv4Address("TCP", "192.0.2.1", 7), "192.0.2.1:7"),
            (IPv6Address("TCP", "2001:db8::1", 7), "[2001:db8::1]:7"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 7), "192.0.2.1:7"),
            (UNIXAddress(b"/run/wordecho.sock"), "unix:/run/wordecho.sock"),
            (UNIXAddress(None), "a local process"),
        ):
            self.assertEqual(show_address(address), shown)

    def test_an_ipv4_host_is_one_host_whatever_socket_it_came_by(self) -> None:
        mapped, plain = IPv6Address("TCP", "::ffff:192.0.2.1", 7), IPv4Address("TCP", "192.0.2.1", 8)
        self.assertEqual(host_of(mapped), host_of(plain))
        self.assertEqual(host_of(IPv6Address("TCP", "::ffff:1", 7)), "::ffff:1")
        self.assertIsNone(host_of(UNIXAddress(b"/run/wordecho.sock")))
