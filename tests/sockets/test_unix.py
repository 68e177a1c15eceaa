"""What is promised of the files of UNIX sockets."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from tempfile import TemporaryDirectory
from types import SimpleNamespace
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


class LockTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.lock = f"{self.folder}/socket.lock"
        self.pauses: list[float] = []
        self.patch(unix, "sleep", self.pauses.append)
        self.steps: list[tuple[str, bool]] = []
        self.patch(unix, "remove_stale_socket", lambda path: self.note("look"))
        self.reactor: Any = LocalSockets(self)

    def note(self, step: str) -> None:
        self.steps.append((step, self.is_locked()))

    def is_locked(self) -> bool:
        """Whether another server would have to wait; a lock is one of an opened file, not of a process."""
        try:
            another = os.open(self.lock, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(another)
        return False

    # What the reactor does
    def listenUNIX(self, address: str, *arguments: object) -> None:
        self.note("listen")
        if self.steps.count(("listen", True)) == 2:
            raise CannotListenError("unix", address, OSError())

    def listen(self) -> None:
        self.reactor.listenUNIX(f"{self.folder}/socket", None)

    def hold(self) -> int:
        """Hold the lock as another server does."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def assert_refused(self, sentence: str) -> None:
        error = self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(str(error), f"Couldn't listen on unix:{self.folder}/socket: {sentence}.")


class LockTests(LockTestCase):
    """
    Two servers that start at once must not both find that a file is left behind: the second would remove the first's.

    So a file of our own is locked from the look at the socket's file until there is a socket that is listened on.
    """

    def test_a_server_that_starts_keeps_the_others_waiting_until_it_listens_and_leaves_no_file(self) -> None:
        self.listen()
        self.assertEqual(self.steps, [("look", True), ("listen", True)])
        self.assertEqual(os.listdir(self.folder), [])

    def test_one_that_cannot_listen_keeps_nobody_waiting_and_leaves_no_file(self) -> None:
        self.listen()
        self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(os.listdir(self.folder), [])

    def test_nobody_else_can_open_the_file(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        modes: list[int] = []
        self.patch(unix, "remove_stale_socket", lambda path: modes.append(stat.S_IMODE(os.stat(self.lock).st_mode)))
        self.listen()
        self.assertEqual(modes, [0o600])

    def test_a_file_that_a_killed_server_has_left_behind_is_no_lock(self) -> None:
        os.close(self.hold())
        self.listen()
        self.assertEqual((self.steps, self.pauses), ([("look", True), ("listen", True)], []))

    def test_a_lock_on_the_folder_is_nobodys_business(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_SH)
        self.listen()
        self.assertEqual(self.pauses, [])


class WaitTests(LockTestCase):
    def test_a_lock_that_is_not_let_go_is_waited_for_two_seconds_and_then_told(self) -> None:
        self.addCleanup(os.close, self.hold())
        self.assert_refused(
            f"another process holds {self.lock}, as a server does while it starts; end it, or try again later"
        )
        self.assertEqual((round(sum(self.pauses), 1), self.steps), (2.0, []))

    def test_a_lock_that_is_let_go_meanwhile_is_had(self) -> None:
        descriptor = self.hold()
        self.patch(unix, "sleep", lambda _: os.close(descriptor))
        self.listen()
        self.assertEqual(self.steps, [("look", True), ("listen", True)])

    def test_the_lock_of_a_file_that_its_holder_has_removed_is_none(self) -> None:
        # Between our opening it and our locking it: a third server locks another file of that name.
        def lock(descriptor: int, operation: int) -> None:
            if not self.pauses:
                os.remove(self.lock)
            fcntl.flock(descriptor, operation)

        self.patch(unix, "fcntl", SimpleNamespace(flock=lock, LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB))
        self.listen()
        self.assertEqual((self.steps, len(self.pauses)), ([("look", True), ("listen", True)], 1))


class ForeignLockTests(LockTestCase):
    """A file that somebody else has put where the lock should be is told at once, and left as it is."""

    def assert_foreign(self) -> None:
        self.assert_refused(
            f"{self.lock} is not a file of this user's; remove it, or listen in a folder where nobody else can write"
        )
        self.assertEqual((os.listdir(self.folder), self.pauses, self.steps), (["socket.lock"], [], []))

    def test_that_of_another_user(self) -> None:
        os.close(os.open(self.lock, os.O_CREAT))
        self.patch(os, "geteuid", lambda: os.getuid() + 1)
        self.assert_foreign()

    def test_a_link(self) -> None:
        os.symlink("/dev/null", self.lock)
        self.assert_foreign()

    def test_a_pipe_that_nobody_reads(self) -> None:
        os.mkfifo(self.lock)
        self.assert_foreign()

    def test_a_folder(self) -> None:
        os.mkdir(self.lock)
        self.assert_foreign()

    def test_a_socket(self) -> None:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(self.lock)
        self.assert_foreign()

    def test_one_that_may_not_be_opened(self) -> None:
        os.close(os.open(self.lock, os.O_CREAT))
        self.refuse_to_open()
        self.assert_foreign()

    def test_a_folder_that_may_not_be_written_to_is_told_as_what_it_is(self) -> None:
        self.refuse_to_open()
        self.assert_refused(f"[Errno 13] Permission denied: {self.lock!r}")

    def refuse_to_open(self) -> None:
        def refuse(path: str, flags: int, mode: int) -> int:
            raise PermissionError(errno.EACCES, "Permission denied", path)

        self.patch(os, "open", refuse)  # root may open whatever there is
