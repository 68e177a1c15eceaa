"""An output in memory that can be lost."""

from __future__ import annotations

import io
import os
from typing import Any


class Output(io.BytesIO):
    """
    An output.

    :ivar error: the number of the system's error that a write ends in, None while it can be written
    """

    def __init__(self, error: int | None = None) -> None:
        super().__init__()
        self.error = error
        self._descriptor = os.open(os.devnull, os.O_WRONLY)

    def write(self, data: Any) -> int:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return super().write(data)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
