"""What is promised of listening ports."""

from __future__ import annotations

import os
import socket
import unittest

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.ports import Port
from wordecho.service.descriptors import raise_descriptor_limit
from wordecho.sockets.ports import accept_pending, has_pending

try:
    from fcntl import F_DUPFD, fcntl
except ImportError:
    raise unittest.SkipTest("there is no fcntl here") from None


class PendingTests(SynchronousTestCase):
    def test_a_port_is_asked_whatever_the_number_of_its_descriptor(self) -> None:
        self.assertGreater(raise_descriptor_limit(2048), 1100)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            for least in (0, 1024):  # select() knows those below 1024
                descriptor = fcntl(listening.fileno(), F_DUPFD, least)
                self.addCleanup(os.close, descriptor)
                self.assertFalse(has_pending(descriptor))
                with socket.create_connection(listening.getsockname(), timeout=10):
                    self.assertTrue(has_pending(descriptor))
                    listening.accept()[0].close()

    def test_a_flood_of_new_connections_does_not_hold_up_a_stop(self) -> None:
        port = Port(self, room=10_000)  # the one that waits is never taken
        accept_pending(port)
        self.assertEqual(port.reads, 1024)
