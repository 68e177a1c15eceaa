"""
What a user would write instead: ``python -m benchmarks.peers NAME`` serves on a free port of 127.0.0.1 and prints it.

All but the echo answer message by message with the very analysis of ours, as one would write it without our native
engine: the benchmark starts them with ``WORDECHO_NATIVE=0``. None has our limits, timeouts and back-pressure.
"""

from __future__ import annotations

import asyncio
import socketserver
import sys
from typing import Any

from wordecho.wire.python_engine import answer


def announce(port: int) -> None:
    print(port, flush=True)


def twisted_echo() -> None:
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor as _reactor
    from twisted.internet.protocol import Factory
    from twisted.protocols.basic import LineReceiver

    reactor: Any = _reactor

    class Echo(LineReceiver):
        delimiter = b"\n"
        MAX_LENGTH = 1 << 20

        def connectionMade(self) -> None:
            self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]

        def lineReceived(self, line: bytes) -> None:
            self.sendLine(line)

    announce(reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1").getHost().port)
    reactor.run()


def asyncio_streams() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(answer(line[:-1]) + b"\n")
            await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1 << 20)
        announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def uvloop_protocol() -> None:
    import uvloop

    class Words(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.rest = b""

        def data_received(self, data: bytes) -> None:
            *lines, self.rest = (self.rest + data).split(b"\n")
            if lines:
                self.transport.write(b"".join([answer(line) + b"\n" for line in lines]))

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Words, "127.0.0.1", 0)
        announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def threads() -> None:
    class Words(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(answer(line[:-1]) + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Words) as server:
        announce(server.server_address[1])
        server.serve_forever()


PEERS = {peer.__name__: peer for peer in (twisted_echo, asyncio_streams, uvloop_protocol, threads)}

if __name__ == "__main__":
    PEERS[sys.argv[1]]()
