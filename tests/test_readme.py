"""The README's snippets, run; what comes out is what it shows."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import pytest_twisted

from tests.processes import process_output, twistd

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()


def code_blocks(*kinds: str) -> list[str]:
    """Return the README's code blocks of these ``kinds``, in order."""
    pattern = rf"^\.\. code-block:: (?:{'|'.join(kinds)})\n\n((?:   .*\n|\n)+)"
    return [dedent(block).strip("\n") + "\n" for block in re.findall(pattern, README, re.MULTILINE)]


def commands() -> list[tuple[str, str]]:
    """Return each command of the README's console blocks with the output that stands below it."""
    return [
        (command, output)
        for block in code_blocks("console")
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


_, TEST_COMMAND = (command for command, output in commands() if not output)


@pytest.mark.parametrize(("command", "output"), [(command, output) for command, output in commands() if output])
@pytest_twisted.ensureDeferred
async def test_a_command_prints_what_the_readme_shows(command: str, output: str) -> None:
    if "| nc " in command and not shutil.which("nc"):
        pytest.skip("there is no nc on this machine; Debian has it in netcat-openbsd")
    async with twistd() as (_, port):
        command = command.replace(".venv/bin/python", sys.executable)
        command = command.replace("wordecho.client", f"wordecho.client --port {port}")
        command = command.replace("127.0.0.1 65432", f"127.0.0.1 {port}")
        out, err, status = await process_output("/bin/sh", "-c", command)
    assert (out.decode(), err, status) == (output, "", 0)


@pytest.mark.parametrize(
    ("program", "output"), list(zip(code_blocks("python"), code_blocks("text"), strict=True)), ids=["socket", "analyze"]
)
@pytest_twisted.ensureDeferred
async def test_a_program_prints_what_the_readme_shows(program: str, output: str) -> None:
    async with twistd("--quiet-period", "0.2") as (_, port):
        out, err, status = await process_output(sys.executable, "-c", program.replace("65432", str(port)))
    assert (out.decode(), err, status) == (output, "", 0)


def test_the_socket_program_has_ten_lines() -> None:
    program = code_blocks("python")[0]
    assert len([line for line in program.splitlines() if line]) <= 10


def test_continuous_integration_runs_the_test_command_as_it_stands() -> None:
    assert f"\n{TEST_COMMAND}\n" in (ROOT / ".ci" / "run").read_text()
