"""UNIX sockets: the file of one that an earlier server has left behind is taken over, and no other."""

from __future__ import annotations

import os
import socket
import stat

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from wordecho.sockets.overlay import Overlay

try:
    import fcntl
except ImportError:  # Windows, where nothing here that needs it is to be had
    fcntl = None  # type: ignore[assignment]


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
            directory = os.open(os.path.dirname(address) or ".", os.O_RDONLY)
        except OSError as error:
            raise CannotListenError("unix", address, error) from None
        try:
            # Two servers that start at once must not both find that the file is left behind.
            fcntl.flock(directory, fcntl.LOCK_EX)
            remove_stale_socket(address)
            port: IListeningPort = self._reactor.listenUNIX(address, factory, backlog, mode, False)
        except CannotListenError as error:
            raise CannotListenError("unix", address, error.socketError) from None
        finally:
            os.close(directory)
        return port


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
