"""Who may import whom, looked up in the source: an import within a function or for type checkers counts too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.snippets import ROOT


def modules(*folders: str) -> dict[str, Path]:
    """Return the modules in ``folders`` by their names; a package has that of its folder."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path) -> Iterator[str]:
    """Yield what the module at ``path`` imports, a name that it imports from a module as ``module.name``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in {path}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


class TestModuleTests(SynchronousTestCase):
    def test_none_is_imported(self) -> None:
        for name, path in modules("tests", "benchmarks", "fuzz").items():
            found = [each for each in imports(path) if each.startswith("tests.") and ".test_" in each]
            self.assertEqual(found, [], f"{name} imports from a test module; what tests share is in tests/furniture")
