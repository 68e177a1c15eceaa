"""What ``twistd wordecho`` runs: the command line, and the service that it makes."""

from wordecho.service.make import makeService
from wordecho.service.options import Options
from wordecho.service.service import CannotStart, WordEchoService

__all__ = ["CannotStart", "Options", "WordEchoService", "makeService"]
