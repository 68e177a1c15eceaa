"""
Every check of the project, each by its name: ``nox -l`` lists them, ``nox -s types`` runs one, ``.ci/run`` runs all.

The tests as a user runs them, and what is checked of the commands in the README, are in ``.ci/run`` itself.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False  # one that is not there is told of, and its session is skipped
nox.options.stop_on_first_error = True

# Tests of one file go to one process.
TWO_AT_ONCE = ("-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile")

# The tests of what is said of both engines, and of the server that has them.
OF_THE_ENGINES = ("tests/wire", "tests/text/test_words.py", "tests/text/test_normal_forms.py")


def here(session: nox.Session, module: str, *arguments: str) -> None:
    """Run ``module`` in the environment that nox itself is in, which has all that a developer needs."""
    session.run(sys.executable, "-m", module, *arguments, external=True)


@nox.session(venv_backend="none")
def style(session: nox.Session) -> None:
    """How the code looks."""
    here(session, "ruff", "check", ".")
    here(session, "ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Whether its types fit."""
    here(session, "mypy")


@nox.session(venv_backend="none")
def documents(session: nox.Session) -> None:
    """Whether each document can be read."""
    for document in [*Path().glob("*.rst"), *Path("docs").glob("*.rst")]:
        here(session, "docutils", "--halt=warning", str(document), os.devnull)


@nox.session(venv_backend="none")
def trial(session: nox.Session) -> None:
    """The tests under trial, but for those that only pytest knows."""
    here(session, "twisted.trial", "-j", "2", "--temp-directory", str(a_folder(session)), "tests")


@nox.session
def coverage(session: nox.Session) -> None:
    """How much of each module the tests try."""
    session.env["WORDECHO_NATIVE"] = "require"
    session.install("-q", "-e", ".[test]", "coverage[toml]>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *TWO_AT_ONCE)
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report")


@nox.session(python="3.12")
def between(session: nox.Session) -> None:
    """The tests that trial knows, under the Python between the newest and this machine's own."""
    session.env["WORDECHO_NATIVE"] = "require"
    session.install("-q", "-e", ".[test]")
    session.run("trial", "-j", "2", "--temp-directory", str(a_folder(session)), "tests")


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """The tests under the newest Python that is supported."""
    session.env["WORDECHO_NATIVE"] = "require"
    session.install("-q", "-e", ".[test]")
    session.run("pytest", *TWO_AT_ONCE, *session.posargs)


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    """The tests under the oldest Python that is supported, with the lowest versions of what wordecho needs."""
    session.env["WORDECHO_NATIVE"] = "require"
    session.install("-q", "-e", ".[test]", "-c", "tests/lowest.txt")
    session.run("pytest", *TWO_AT_ONCE)


@nox.session(venv_backend="none")
def kernel(session: nox.Session) -> None:
    """No warning of either compiler, and half a minute of the kernel's fuzzers."""
    folder = str(a_folder(session))
    os.mkdir(folder)
    include = sysconfig.get_path("include")
    for compiler in "gcc", "clang":
        flags = ("-std=c99", "-O3", "-Wall", "-Wextra", "-Werror", "-isystem", include, "-fPIC", "-c")
        session.run(compiler, *flags, "wordecho/native/replies.c", "-o", f"{folder}/kernel.o", external=True)
    session.run("fuzz/build_kernel", folder, external=True)
    for target in "fuzz_kernel", "fuzz_kernel_colliding":
        session.run(f"{folder}/{target}", "-max_len=4096", "-max_total_time=15", "-print_final_stats=1", external=True)


@nox.session(venv_backend="none")
def hostile(session: nox.Session) -> None:
    """Half a minute of the worst attacks: nobody polite loses a reply, and each stop ends in time."""
    here(session, "benchmarks.hostile", "--quick")


@nox.session(venv_backend="none")
def colliding(session: nox.Session) -> None:
    """With all words colliding in the kernel they are sorted, and the answers are the same."""
    clone = a_clone(session)
    include = sysconfig.get_path("include")
    source, module = "wordecho/native/replies.c", clone / "wordecho" / "_native.abi3.so"
    session.run(
        "gcc",
        "-std=c99",
        "-O2",
        "-shared",
        "-fPIC",
        "-DHASH_FOR_TESTS=7",
        f"-I{include}",
        source,
        "-o",
        module,
        external=True,
    )
    with session.chdir(clone):
        not_then = "tests/wire/test_kernel.py::WordTableTests::test_these_are_words_that_collide"
        here(session, "pytest", *TWO_AT_ONCE, "--deselect", not_then, "tests/wire", "tests/text/test_normal_forms.py")


@nox.session
def uncompiled(session: nox.Session) -> None:
    """Without a compiler it installs, says so, and keeps the contract; unless a kernel is required."""
    clone = a_clone(session)
    no_compiler = clone / "no-compiler"
    no_compiler.mkdir()
    pip = (shutil.which("python", path=session.bin) or "", "-m", "pip", "install")
    with session.chdir(clone):
        without = {"PATH": str(no_compiler), "WORDECHO_NATIVE": None}
        said = session.run(*pip, "-v", ".[test]", env=without, silent=True)
        if "the native kernel could not be built" not in str(said):
            session.error("pip install -v does not say that there is no kernel")
        said = session.run("twistd", "wordecho", "--version", silent=True)
        if "Python engine (the native kernel is not built)" not in str(said):
            session.error(f"twistd wordecho --version does not say that there is no kernel: {said}")
        session.run("pytest", *TWO_AT_ONCE, *OF_THE_ENGINES, "tests/server/test_connection.py")
        required = {"PATH": str(no_compiler), "WORDECHO_NATIVE": "require"}
        said = session.run(*pip, ".", env=required, silent=True, success_codes=[1])
        if not re.search("error: .*gcc", str(said)):
            session.error(f"it fails for another reason: {said}")


@nox.session(venv_backend="none")
def packages(session: nox.Session) -> None:
    """The wheels and the sdist: what is in them, and that each serves alone in a fresh environment."""
    folder = str(a_folder(session))
    here(session, "build", "--outdir", folder, ".")
    session.env["WORDECHO_NATIVE"] = "skip"
    here(session, "build", "--wheel", "--outdir", folder, ".")
    made = sorted(Path(folder).iterdir())
    for name in ("-cp310-abi3-", "-py3-none-any", ".tar.gz"):
        if not any(name in path.name for path in made):
            session.error(f"none of {made} is {name}")
    here(session, "twine", "check", "--strict", *map(str, made))
    here(session, "abi3audit", "--strict", *(str(path) for path in made if "abi3" in path.name))
    session.env["WORDECHO_NATIVE"] = "require"
    for path in made:
        session.run(".ci/serves_alone", str(path), "Python" if "none-any" in path.name else "native", external=True)


def a_folder(session: nox.Session) -> Path:
    """Return where to make an empty folder, whatever was there before."""
    folder = Path(session.create_tmp()).resolve() / "made"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def a_clone(session: nox.Session) -> Path:
    """Return a clone of this repository, made anew, in which nothing was built."""
    folder = a_folder(session)
    session.run("git", "clone", "-q", ".", str(folder), external=True)
    return folder
