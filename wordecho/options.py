"""What the two commands' options have in common: converters that name the option and the value that they refuse."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.python import usage

from wordecho.settings import MAX_SECONDS, Setting
from wordecho.wire.engine import versions

TLS_IS_MISSING = "TLS needs more than is installed; install wordecho[tls], as in pip install '.[tls]'."


class Options(usage.Options):
    """Options whose ``--version`` is that of this project."""

    def opt_version(self) -> NoReturn:
        """Display the versions of wordecho, Unicode and ICU, and which engine answers, and exit."""
        print(versions())
        sys.exit(0)

    def tls_options(self, make: Callable[..., Any]) -> Any:
        """
        Return what ``make`` makes of ``--cert``, ``--key`` and ``--ca``.

        :param make: called with the module :mod:`wordecho.sockets.tls`, and with ``cert``, ``key`` and ``ca`` by name
        :raises usage.UsageError: if TLS is not installed, or the files are of no use.
        """
        try:
            from wordecho.sockets import tls
        except ImportError as error:
            raise usage.UsageError(TLS_IS_MISSING) from error
        files = {option: self[option] for option in ("cert", "key", "ca")}
        try:
            return make(tls, **files)
        except ValueError as error:
            given = [f"--{option} {file}" for option, file in files.items() if file is not None]
            raise usage.UsageError(f"{', '.join(given)}: {error}") from error


def parameter(setting: Setting, text: str) -> list[Any]:
    """Return the entry of ``setting`` in ``optParameters``; ``text`` says what it is."""
    if setting.unit == "seconds":
        convert: Callable[[str], float] = seconds(setting.name, setting.least, setting.most)
    else:
        convert = whole_number(setting.name, setting.least, setting.most)
    return [setting.name, None, setting.default, text, convert]


def whole_number(option: str, least: int, most: int) -> Callable[[str], int]:
    """Make the converter of ``option`` to an :class:`int` from ``least`` to ``most``."""

    def convert(value: str) -> int:
        if not re.fullmatch("[0-9]{1,20}", value) or not least <= int(value) <= most:
            raise usage.UsageError(f"--{option} takes a whole number from {least} to {most}, not {value!r}.")
        return int(value)

    return convert


def seconds(option: str, least: float = 0, most: float = MAX_SECONDS, *, zero: bool = True) -> Callable[[str], float]:
    """
    Make the converter of ``option`` to a number of seconds from ``least`` to ``most``.

    A whole number stays an :class:`int`, so that it reads well wherever it is shown.

    :param zero: whether 0 is allowed
    """
    span = f"from {least} to {most}" if zero else f"above 0 and up to {most}"

    def convert(value: str) -> float:
        number = float(value) if re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", value) else math.nan
        if not least <= number <= most or not (number or zero):
            raise usage.UsageError(f"--{option} takes a number of seconds {span}, not {value!r}.")
        return int(number) if number.is_integer() else number

    return convert
