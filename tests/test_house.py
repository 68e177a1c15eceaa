"""Who may import whom, looked up in the source: an import within a function or for type checkers counts too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.snippets import ROOT

# What each room of the package may import besides itself. Whoever is not named here may import all but COMMANDS.
MAY_IMPORT: dict[str, set[str]] = {
    "text": set(),
    "wire": {"text", "_native"},
    "sockets": set(),
    "reactor": set(),
    "settings": set(),
    "options": {"settings", "wire", "sockets"},
    "server": {"wire", "sockets", "settings"},
    "client": {"wire", "sockets", "settings", "options"},
}
COMMANDS = {"wordecho.service": set(), "wordecho.client.command": {"wordecho.client.__main__"}}


def modules(*folders: str) -> dict[str, Path]:
    """Return the modules in ``folders`` by their names; a package has that of its folder."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py*") if path.suffix in (".py", ".pyi")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path) -> Iterator[str]:
    """Yield what the module at ``path`` imports, a name that it imports from a module as ``module.name``."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"a relative import in {path}"
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id="import_module"), args=[ast.Constant(value=str(name))]):
                yield name


@cache
def package() -> dict[str, set[str]]:
    """Return the modules of the package, each with those that it imports."""
    found = modules("wordecho")

    def module_of(name: str) -> str:
        return name if name in found else name.rpartition(".")[0]

    return {
        importer: {module_of(name) for name in imports(path) if name.partition(".")[0] == "wordecho"}
        for importer, path in found.items()
    }


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


class PackageTests(SynchronousTestCase):
    def test_each_room_imports_what_it_may(self) -> None:
        for importer, imported in package().items():
            room = room_of(importer)
            found = {each for each in imported if room_of(each) not in MAY_IMPORT.get(room, {room_of(each)}) | {room}}
            self.assertEqual(found, set(), f"{importer} is not to import these")

    def test_nobody_imports_what_twistd_and_the_clients_command_run(self) -> None:
        for importer, imported in package().items():
            for command, mains in COMMANDS.items():
                if importer not in mains and not f"{importer}.".startswith(f"{command}."):
                    found = {each for each in imported if f"{each}.".startswith(f"{command}.")}
                    self.assertEqual(found, set(), f"{importer} is not to import these")

    def test_there_are_no_circles(self) -> None:
        try:
            TopologicalSorter(package()).prepare()
        except CycleError as error:
            self.fail(f"these import each other: {', '.join(error.args[1])}")

    def test_every_room_is_there(self) -> None:
        self.assertEqual(MAY_IMPORT.keys() - {room_of(module) for module in package()}, set())


class TestModuleTests(SynchronousTestCase):
    def test_none_is_imported(self) -> None:
        for name, path in modules("tests", "benchmarks", "fuzz").items():
            found = [each for each in imports(path) if each.startswith("tests.") and ".test_" in each]
            self.assertEqual(found, [], f"{name} imports from a test module; what tests share is in tests/furniture")
