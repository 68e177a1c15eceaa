"""The client: the library, and the command ``python -m wordecho.client``."""

from wordecho.client.connection import WordEchoClientFactory, WordEchoClientProtocol, connect
from wordecho.client.datagram import WordEchoDatagramClient, connect_datagrams
from wordecho.wire.questions import Answer, ClientError, NotWordEchoError, ServerGoneError

__all__ = [
    "Answer",
    "ClientError",
    "NotWordEchoError",
    "ServerGoneError",
    "WordEchoClientFactory",
    "WordEchoClientProtocol",
    "WordEchoDatagramClient",
    "connect",
    "connect_datagrams",
]
