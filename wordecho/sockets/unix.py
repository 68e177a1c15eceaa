"""UNIX sockets: the file of one that an earlier server has left behind is taken over, and no other."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import sleep

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from wordecho.sockets.overlay import Overlay

try:
    import fcntl
except ImportError:  # Windows, where nothing here that needs it is to be had
    fcntl = None  # type: ignore[assignment]

ATTEMPTS = 20  # to have the lock, which a server that starts holds for less than a pause
PAUSE = 0.1  # seconds


class LocalSockets(Overlay):
    """
    A reactor that listens on a UNIX socket whose file an earlier server has left behind, and on no other's.

    Twisted's own way is a lock file with the process's number in it. After a crash that number is somebody else's, or,
    in a container, that of the new server itself; then the lock holds for ever.
    """

    def listenUNIX(
        self, address: str, factory: IProtocolFactory, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> IListeningPort:
        try:
            # Two servers that start at once must not both find that the file is left behind.
            with locked(f"{address}.lock"):
                remove_stale_socket(address)
                port: IListeningPort = self._reactor.listenUNIX(address, factory, backlog, mode, False)
        except CannotListenError as error:
            raise CannotListenError("unix", address, error.socketError) from None
        except OSError as error:
            raise CannotListenError("unix", address, error) from None
        return port


@contextmanager
def locked(path: str) -> Iterator[None]:
    """
    Have the file ``path`` to ourselves for as long as the block runs, and leave none there.

    The lock is the kernel's (flock): it goes with the process that holds it, and a file that is left behind is none.
    Nobody else can open the file, so nobody else can hold it.

    :raises OSError: if it is not to be had. That is known soon: it is never waited for longer than two seconds.
    """
    descriptor = _lock(path)
    try:
        yield
    finally:
        # Before it is let go. Who has opened it meanwhile has then locked a file that is not there any more, and sees
        # that; and a server of another user, who may not open ours, is not kept out by what we have left.
        with suppress(OSError):
            os.remove(path)
        os.close(descriptor)


def _lock(path: str) -> int:
    for _ in range(ATTEMPTS):
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        sleep(PAUSE)
    raise OSError(f"another process holds {path}, as a server does while it starts; end it, or try again later")


def _open(path: str) -> int:
    """Open our own file ``path``, and make it if it is not there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENXIO) and os.path.lexists(path):
            raise _foreign(path) from None
        raise
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _foreign(path)
    return descriptor


def _foreign(path: str) -> OSError:
    return OSError(f"{path} is not a file of this user's; remove it, or listen in a folder where nobody else can write")


def remove_stale_socket(path: str) -> None:
    """Remove the socket ``path`` if no server listens on it; leave it, or what else is there, if one may."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.remove(path)
    except OSError:
        return  # whatever it is, listening will tell
