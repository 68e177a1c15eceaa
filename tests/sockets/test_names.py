"""The addresses that a name has, and those of one family."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase

from wordecho.sockets.names import OneFamilyReactor, resolve

IPV6 = IPv6Address("UDP", "2001:db8::1", 7)
IPV4 = IPv4Address("UDP", "192.0.2.1", 7)


class Names:
    """A reactor on which each name has the same addresses."""

    def __init__(self) -> None:
        self.nameResolver = self
        self.asked: list[tuple[Any, ...]] = []

    def resolveHostName(
        self, receiver: Any, name: str, portNumber: int = 0, families: Any = None, transportSemantics: str = "TCP"
    ) -> None:
        self.asked.append((name, portNumber, transportSemantics))
        receiver.resolutionBegan(self)
        for address in IPV6, IPV4:
            if families is None or isinstance(address, tuple(families)):
                receiver.addressResolved(address)
        receiver.resolutionComplete()


class NameTests(SynchronousTestCase):
    def test_all_addresses_of_a_name_come_in_the_resolvers_order(self) -> None:
        names = Names()
        self.assertEqual(self.successResultOf(resolve(names, "example.org", 7)), [IPV6, IPV4])
        self.assertEqual(names.asked, [("example.org", 7, "UDP")])

    def test_those_of_one_family_are_all_that_a_reactor_of_one_family_has(self) -> None:
        for family, addresses in (IPv4Address, [IPV4]), (IPv6Address, [IPV6]):
            names = Names()
            reactor = OneFamilyReactor(names, family)
            self.assertEqual(self.successResultOf(resolve(reactor, "example.org", 7)), addresses)
            self.assertEqual(names.asked, [("example.org", 7, "UDP")])
