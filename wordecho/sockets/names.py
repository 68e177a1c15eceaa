"""The addresses that a name has: all of them, or those of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from wordecho.sockets.overlay import Overlay


def resolve(reactor: Any, host: str, port: int) -> Deferred[list[Any]]:
    """
    Look up where datagrams to ``host`` go.

    :return: fires with its addresses, of :class:`IPv4Address` and :class:`IPv6Address`; with none where it has none
    """
    resolved: Deferred[list[Any]] = Deferred()

    @implementer(IResolutionReceiver)
    class Receiver:
        def __init__(self) -> None:
            self._addresses: list[IAddress] = []

        def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None: ...

        def addressResolved(self, address: IAddress) -> None:
            self._addresses.append(address)

        def resolutionComplete(self) -> None:
            resolved.callback(self._addresses)

    reactor.nameResolver.resolveHostName(Receiver(), host, port, transportSemantics="UDP")
    return resolved


class OneFamilyReactor(Overlay):
    """A reactor for which names have addresses of one ``family`` only."""

    def __init__(self, reactor: Any, family: type[IPv4Address | IPv6Address]) -> None:
        super().__init__(reactor)
        self.nameResolver = OneFamilyResolver(reactor.nameResolver, family)


@implementer(IHostnameResolver)
class OneFamilyResolver:
    """Looks names up in one ``family`` only, whichever ones it is asked for."""

    def __init__(self, resolver: IHostnameResolver, family: type[IPv4Address | IPv6Address]) -> None:
        self._resolver = resolver
        self._family = family

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        return self._resolver.resolveHostName(
            resolutionReceiver, hostName, portNumber, [self._family], transportSemantics
        )
