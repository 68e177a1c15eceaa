"""What is promised of bound sockets, with real ones."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from wordecho.sockets import bind as bind_module
from wordecho.sockets.bind import bind
from wordecho.sockets.endpoints import tcp_endpoint


class BindTests(SynchronousTestCase):
    def test_a_port_whose_connections_have_just_ended_can_be_had_again(self) -> None:
        with bind(socket.SOCK_STREAM, 0, "127.0.0.1") as listening:
            listening.listen()
            address = listening.getsockname()
            with socket.create_connection(address, timeout=10):
                listening.accept()[0].close()  # who closes first is the one to wait, in the state TIME_WAIT
        with bind(socket.SOCK_STREAM, address[1], "127.0.0.1") as again:
            self.assertEqual(again.getsockname(), address)

    def test_two_servers_cannot_have_one_port(self) -> None:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with bind(kind, 0) as taken:
                if kind == socket.SOCK_STREAM:
                    taken.listen()
                self.assertRaises(CannotListenError, bind, kind, taken.getsockname()[1])

    def test_those_that_share_a_port_can(self) -> None:
        with bind(socket.SOCK_STREAM, 0, shared=True) as one:
            port = one.getsockname()[1]
            one.listen()
            with bind(socket.SOCK_STREAM, port, shared=True) as other:
                other.listen()
                self.assertEqual(other.getsockname()[1], port)

    def test_it_waits_for_nobody(self) -> None:
        with bind(socket.SOCK_STREAM, 0) as bound:
            self.assertFalse(bound.getblocking())


class NoIPv6Tests(SynchronousTestCase):
    """Machines without IPv6, as far as a machine that has it can play one."""

    def assert_falls_back(self) -> None:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with bind(kind, 0) as bound:
                self.assertEqual((bound.family, bound.getsockname()[0]), (socket.AF_INET, "0.0.0.0"))

    def test_a_python_or_a_kernel_without_ipv6(self) -> None:
        self.patch(socket, "has_dualstack_ipv6", lambda: False)
        self.assert_falls_back()

    def test_a_kernel_whose_ipv6_is_turned_off(self) -> None:
        original = bind_module._bind
        for number in errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT:

            def bind_ipv4(family: socket.AddressFamily, *arguments: Any, number: int = number) -> socket.socket:
                if family == socket.AF_INET6:
                    raise OSError(number, "there is no IPv6")
                return original(family, *arguments)

            self.patch(bind_module, "_bind", bind_ipv4)
            self.patch(socket, "has_dualstack_ipv6", lambda: True)
            self.assert_falls_back()

    def test_a_port_that_is_taken_is_no_reason_to_fall_back(self) -> None:
        with bind(socket.SOCK_STREAM, 0) as taken:
            taken.listen()
            port = taken.getsockname()[1]
            error = self.assertRaises(CannotListenError, bind, socket.SOCK_STREAM, port)
        self.assertIn(str(port), str(error))

    def test_it_listens_with_the_family_that_there_is(self) -> None:
        reactor: Any = MemoryReactorClock()
        self.patch(socket, "has_dualstack_ipv6", lambda: False)
        self.successResultOf(tcp_endpoint(reactor, 0).listen(None))  # type: ignore[arg-type]
        ((_, family, _),) = reactor.adoptedPorts
        self.assertEqual(family, socket.AF_INET)
