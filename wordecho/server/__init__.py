"""The server: what a connection is, who may come in, and how it ends."""

from wordecho.server.connection import WordEchoFactory, WordEchoProtocol

__all__ = ["WordEchoFactory", "WordEchoProtocol"]
