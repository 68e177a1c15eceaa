"""What is promised of the files of UNIX sockets."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from wordecho.sockets import unix
from wordecho.sockets.unix import LocalSockets, remove_stale_socket


class StaleSocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/socket"
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.bind(self.path)

    def test_it_is_removed_where_nobody_listens(self) -> None:
        remove_stale_socket(self.path)
        self.assertFalse(os.path.exists(self.path))

    def test_it_stays_where_somebody_listens_and_is_too_busy_to_answer(self) -> None:
        self.server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for connection in waiting:
            self.addCleanup(connection.close)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect(self.path)
        remove_stale_socket(self.path)
        self.assertTrue(os.path.exists(self.path))


class LockTests(SynchronousTestCase):
    """
    Two servers that start at once must not both find that a file is left behind: the second would remove the first's.

    So the folder is locked from the look at the file until there is a socket that is listened on.
    """

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.steps: list[tuple[str, bool]] = []
        self.patch(unix, "remove_stale_socket", lambda path: self.note("look"))
        self.reactor: Any = LocalSockets(self)

    def is_locked(self) -> bool:
        """Whether another server would have to wait; a lock is one of an opened folder, not of a process."""
        another = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(another, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(another)
        return False

    def note(self, step: str) -> None:
        self.steps.append((step, self.is_locked()))

    # What the reactor does
    def listenUNIX(self, address: str, *arguments: object) -> None:
        self.note("listen")
        if address.endswith("taken"):
            raise CannotListenError("unix", address, OSError())

    def test_a_server_that_starts_keeps_the_others_waiting_until_it_listens(self) -> None:
        self.reactor.listenUNIX(f"{self.folder}/socket", None)
        self.assertEqual(self.steps, [("look", True), ("listen", True)])
        self.assertFalse(self.is_locked())

    def test_one_that_cannot_listen_keeps_nobody_waiting(self) -> None:
        self.assertRaises(CannotListenError, self.reactor.listenUNIX, f"{self.folder}/taken", None)
        self.assertFalse(self.is_locked())
