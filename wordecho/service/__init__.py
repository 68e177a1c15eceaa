"""What ``twistd wordecho`` runs: the command line, and the service that it makes."""

from wordecho.service.service import CannotStart, Options, WordEchoService, makeService

__all__ = ["CannotStart", "Options", "WordEchoService", "makeService"]
