"""
A reactor that sends before it polls, which saves every reply two system calls and a pass through the loop.

``twistd wordecho`` runs on it where there is epoll and nobody chose another reactor; any Twisted program can, with
``twistd --reactor=eager-epoll``.
"""

from __future__ import annotations

import sys
from errno import EWOULDBLOCK
from select import EPOLLIN
from socket import AF_INET, AF_INET6
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST, installReactor
from twisted.internet.tcp import Connection, Port, Server
from twisted.python import context, log

# The most octets that Python's own allocator has room for. To ask for more, only to give nearly all of it back, makes a
# short message dearer by a hundredth or more.
SMALL_READ = 512 - sys.getsizeof(b"")

# How many events are handled before what they have brought about is sent: not so many that the first of thousands of
# replies waits for the last.
MOST_EVENTS = 128


class EagerServer(Server):
    """
    A connection that a port of :class:`EagerEPollReactor` has accepted.

    It is a :class:`Server` that does the ordinary in fewer steps: to read, to write while nothing waits to be sent, and
    to send all of that. Everything else it leaves to the original, and everything from the first sign on that the
    connection will not be an ordinary one to its end.

    It relies on what the original keeps in ``dataBuffer`` and ``offset``, and in the private ``_tempDataLen``.
    """

    reactor: EagerEPollReactor

    def __init__(self, *arguments: Any, **named_arguments: Any) -> None:
        self._is_ordinary = True
        self._read_size = SMALL_READ
        # What every message needs is found sooner here than on the class.
        self.bufferSize = self.bufferSize
        self.dataBuffer = b""
        self.offset = 0
        super().__init__(*arguments, **named_arguments)
        # What log.callWithLogger() makes anew each time. Whoever takes a reference to it, as deferToThread() does, has
        # one to a context that never changes.
        self.log_context = {log.ILogContext: {**context.get(log.ILogContext), "system": self.logstr}}

    def doRead(self) -> Any:
        size = self._read_size
        try:
            data = self.socket.recv(size)
        except OSError as error:
            return None if error.errno == EWOULDBLOCK else CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        if len(data) == size:
            self._read_size = self.bufferSize
        self.protocol.dataReceived(data)
        return None

    def write(self, data: bytes) -> None:
        if (
            self._is_ordinary
            and type(data) is bytes
            and len(data) + len(self.dataBuffer) <= self.bufferSize
            and not self._tempDataLen
            and not self.offset
        ):
            if self.dataBuffer:
                self.dataBuffer += data
            elif data:
                self.dataBuffer = data
                self.reactor.noted[self] = None
        else:
            super().write(data)

    def send_at_once(self) -> bool:
        """Send what waits to be sent, and return whether that was all there is to do."""
        if not self._is_ordinary or self._tempDataLen or self.offset:
            return False
        data = self.dataBuffer
        try:
            self.offset = self.socket.send(data)
        except OSError:
            return False  # the original meets it again, and knows what to do
        if self.offset < len(data):
            return False
        self.dataBuffer = b""
        self.offset = 0
        return True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if not streaming or self.producerPaused:  # this one is to be asked for more when all is sent
            self._is_ordinary = False
        super().registerProducer(producer, streaming)

    def startTLS(self, *arguments: Any, **named_arguments: Any) -> None:
        self._is_ordinary = False
        super().startTLS(*arguments, **named_arguments)

    def loseConnection(self) -> None:
        self._is_ordinary = False
        super().loseConnection()

    def loseWriteConnection(self) -> None:
        self._is_ordinary = False
        super().loseWriteConnection()

    def abortConnection(self) -> None:
        self._is_ordinary = False
        super().abortConnection()

    def connectionLost(self, reason: Any) -> None:
        self._is_ordinary = False
        super().connectionLost(reason)


class EagerPort(Port):
    """A TCP port whose connections are of :class:`EagerServer`."""

    transport = EagerServer


class EagerEPollReactor(EPollReactor):
    """
    An :class:`EPollReactor` that expects a connection to take what is written to it, as connections nearly always do.

    The original has epoll watch whether a connection is writable, sends when the next poll says so, and has epoll watch
    it no longer (Twisted's issue 5303). This one notes who has something to send; when all events of a poll are
    handled, each connection that is noted sends what it can, and epoll watches only those that still have some. So
    what a protocol writes in several pieces goes out as one, and no connection keeps the others waiting.

    Only a connected stream transport is noted. Anything else that writes (a client that waits to be connected, a
    process's pipe, a descriptor of somebody's own) may take a call of ``doWrite`` to mean that it is writable, and is
    left to epoll.

    Besides, what an accepted TCP connection does for every message takes fewer steps here: its transport is an
    :class:`EagerServer`, which has the context of its lines in the log ready.

    It relies on these private names of Twisted's: ``_poller``, ``_selectables``, ``_writes``, ``_doReadOrWrite``,
    ``_disconnectSelectable`` and ``_POLL_OUT`` of the original, ``_fromListeningDescriptor`` of its ports, and
    ``contexts`` of ``context.theContextTracker.currentContext()``.

    :ivar noted: who is to send, in order; the value is None, or the round of sending in which it is to come. A writer
        is noted, or watched by epoll, or neither, never both.
    """

    def __init__(self) -> None:
        self.noted: dict[Any, list[Any] | None] = {}
        super().__init__()

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> EagerPort:
        listening = EagerPort(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        if addressFamily not in (AF_INET, AF_INET6):
            return super().adoptStreamPort(fileDescriptor, addressFamily, factory)
        listening = EagerPort._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        listening.startListening()
        return listening

    def addWriter(self, writer: Any) -> None:
        if writer in self.noted:
            return
        if isinstance(writer, Connection) and writer.connected and writer.fileno() not in self._writes:
            self.noted[writer] = None
        else:
            super().addWriter(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.noted:
            del self.noted[writer]
        else:
            super().removeWriter(writer)

    def getWriters(self) -> list[Any]:
        return [*super().getWriters(), *self.noted]

    def removeAll(self) -> list[Any]:
        noted, self.noted = self.noted, {}
        return list({*super().removeAll(), *noted})

    def doPoll(self, timeout: float | None) -> None:
        """
        Send what is noted, wait for events and handle them, and send what was noted meanwhile.

        :param timeout: seconds to wait at most, None for as long as it takes
        """
        if self.noted:  # by a timed call, or by a producer that was asked for more
            self._send()
            timeout = 0  # what that has brought about, such as a timed call or a stop, is not to wait for an event
        events = self._poller.poll(timeout, MOST_EVENTS)
        if events:
            self._handle(events)
        if self.noted:
            self._send()

    doIteration = doPoll

    def _handle(self, events: list[tuple[int, int]]) -> None:
        selectable_of = self._selectables.get
        contexts = context.theContextTracker.currentContext().contexts
        contexts.append({})
        try:
            for fd, event in events:
                selectable = selectable_of(fd)
                if event == EPOLLIN and type(selectable) is EagerServer:
                    contexts[-1] = selectable.log_context
                    why: BaseException | None
                    try:
                        why = selectable.doRead()
                    except BaseException as error:
                        log.err()
                        why = error
                    if why is not None:
                        has_ended = why is CONNECTION_DONE
                        log.callWithLogger(selectable, self._disconnectSelectable, selectable, why, has_ended)
                elif selectable is not None:  # it may be gone, by the doing of one before it
                    log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
        finally:
            contexts.pop()

    def _send(self) -> None:
        """Let each connection that is noted send once, and leave those to epoll that have not sent all by then."""
        others = [writer for writer in self.noted if type(writer) is not EagerServer or not writer.send_at_once()]
        self.noted = dict.fromkeys(others, others)
        for writer in others:
            if writer not in self.noted:
                continue  # it is gone, by the doing of one before it
            log.callWithLogger(writer, self._doReadOrWrite, writer, writer.fileno(), self._POLL_OUT)
            # One that has sent all is noted no longer; or it is noted anew, where its producer was asked for more.
            if self.noted.get(writer) is others:
                del self.noted[writer]
                super().addWriter(writer)


def install() -> None:
    """Install it as ``twisted.internet.reactor``."""
    installReactor(EagerEPollReactor())
