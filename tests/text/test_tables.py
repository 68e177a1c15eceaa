"""The tables of characters are those that their script makes of Unicode's files."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from unicode.make_tables import FILES_MADE
from wordecho import UNICODE_VERSION


class TableTests(SynchronousTestCase):
    def test_the_files_that_the_script_makes_are_those_that_are_here(self) -> None:
        for path, make in FILES_MADE.items():
            self.assertTrue(path.read_text() == make(), f"{path.name} is not what unicode/make_tables.py makes")

    def test_the_header_is_small(self) -> None:
        (header,) = (path for path in FILES_MADE if path.suffix == ".h")
        self.assertLess(header.stat().st_size, 100_000)

    def test_they_are_of_the_version_that_is_said(self) -> None:
        self.assertEqual(UNICODE_VERSION, "17.0.0")
