"""The limits: the documents say of each what it is, and the command line takes what it may be and no more."""

from __future__ import annotations

import re
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.snippets import ROOT
from wordecho import settings
from wordecho.service import Options
from wordecho.settings import SPARE_DESCRIPTORS, Setting
from wordecho.sockets.ports import BACKLOG

SETTINGS = [value for value in vars(settings).values() if isinstance(value, Setting)]


def table(document: str, heading: str) -> dict[str, str]:
    """Return the second cell of each row of the table with ``heading``, by its first; both may have several lines."""
    text = (ROOT / document).read_text()
    (columns, body), *_ = re.findall(rf"^(=+ +=+) .*\n{heading} .*\n=[= ]*\n((?:.+\n)+?)=[= ]*$", text, re.MULTILINE)
    start, end = columns.index(" =") + 1, len(columns)
    found: list[tuple[str, str]] = []
    for line in body.splitlines():
        first, second = line[:start].strip(), line[start:end].strip()
        if first:
            found.append((first, second))
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]} {second}".strip())
    return dict(found)


def grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def parse(setting: Setting, value: int) -> Any:
    options = Options()
    # No quiet period is too long where there is no idle timeout.
    options.parseOptions(["--idle-timeout=0", f"--{setting.name}={value}"])
    return options[setting.name]


class SettingTests(SynchronousTestCase):
    def test_the_readme_has_the_default_of_each(self) -> None:
        rows = table("README.rst", "option").items()
        defaults = {re.findall("--([a-z-]+)", option)[0]: default for option, default in rows}
        for setting in SETTINGS:
            self.assertEqual(defaults.get(setting.name), str(setting.default or "off"), setting.name)

    def test_the_defaults_are_in_force(self) -> None:
        options = Options()
        options.parseOptions([])
        for setting in SETTINGS:
            if setting.name != "port":  # which has a default only where nothing else is listened on
                self.assertEqual(options[setting.name], setting.default, setting.name)

    def test_the_bounds_are_those_in_force(self) -> None:
        bounds = table("docs/reliability.rst", "bound")
        for setting, bound in (
            (settings.MAX_LENGTH, "bytes in a message"),
            (settings.MAX_CONNECTIONS, "connections in all"),
            (settings.MAX_CONNECTIONS_PER_HOST, "connections from one address"),
            (settings.IDLE_TIMEOUT, "seconds idle"),
            (settings.HANDSHAKE_TIMEOUT, "seconds to become a connection"),
            (settings.DRAIN_TIMEOUT, "seconds that a stop takes"),
        ):
            value = grouped(setting.default) if setting.default else "off"
            self.assertEqual(bounds[bound].replace(" ,", ","), f"``--{setting.name}``, {value}")
        for bound, value in {
            "newcomers, and refused connections": f"{settings.MAX_STRANGERS}",
            "seconds to take the last words": f"{settings.FAREWELL_TIMEOUT}",
            "connections that wait to be accepted": f"{grouped(BACKLOG)}, on ``--port``",
            "descriptors": f"``--max-connections`` + {SPARE_DESCRIPTORS}",
        }.items():
            self.assertEqual(bounds[bound], value)

    def test_each_may_be_as_little_and_as_much_as_it_says_and_no_more(self) -> None:
        for setting in SETTINGS:
            for value in (setting.least, setting.most):
                self.assertEqual(parse(setting, value), value)
            for value in (setting.least - 1, setting.most + 1):
                self.assertRaises(usage.UsageError, parse, setting, value)
