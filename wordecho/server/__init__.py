"""The server: what a connection is, who may come in, and how it ends."""

from wordecho.server.connection import WordEchoProtocol
from wordecho.server.factory import WordEchoFactory

__all__ = ["WordEchoFactory", "WordEchoProtocol"]
