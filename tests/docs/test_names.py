"""What the documents name is there: tests by their paths and classes, and every module in the way through the code."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.snippets import ROOT

DOCUMENTS = [*ROOT.glob("*.rst"), *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.rst")]


class NameTests(SynchronousTestCase):
    def test_every_file_that_a_document_names_is_there(self) -> None:
        for document in DOCUMENTS:
            for path in re.findall(r"``((?:tests|fuzz|benchmarks|unicode|wordecho)/[\w/.]+)``", document.read_text()):
                self.assertTrue((ROOT / path).exists(), f"{document.name} names {path}")

    def test_every_test_that_a_document_names_is_there(self) -> None:
        named = 0
        for document in DOCUMENTS:
            for module, name in re.findall(r"``((?!tests/)\w+/test_\w+)(?:\.(\w+))?``", document.read_text()):
                path = ROOT / "tests" / f"{module}.py"
                self.assertTrue(path.exists(), f"{document.name} names {module}")
                self.assertIn(f"class {name}" if name else "", path.read_text())
                named += 1
        self.assertGreater(named, 10)

    def test_every_module_stands_in_the_way_through_the_code(self) -> None:
        text = (ROOT / "docs" / "architecture.rst").read_text()
        for path in (ROOT / "wordecho").glob("*/*.py"):
            if not path.name.startswith("__"):
                section = (
                    text.partition(f"``wordecho/{path.parent.name}/``:")[2]
                    .partition("~~~~\n\n")[2]
                    .partition("\n\n")[0]
                )
                self.assertIn(f"``{path.name}``", section, str(path))
