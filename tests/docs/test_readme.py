"""The README's snippets, run; what comes out is what it shows."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import pytest_twisted

from tests.furniture.kinds import make_certificate
from tests.furniture.processes import TWISTD, Twistd, ending, port_of, process_output, start, twistd
from tests.furniture.snippets import ROOT, code_blocks, commands

README = "README.rst"
README_TEXT = (ROOT / README).read_text()

_, TEST_COMMAND, MAKE_CERTIFICATE = (command for command, output in commands(README) if not output)


@pytest.mark.parametrize(("command", "output"), [(command, output) for command, output in commands(README) if output])
@pytest_twisted.ensureDeferred
async def test_a_command_prints_what_the_readme_shows(command: str, output: str, server: tuple[Twistd, int]) -> None:
    if "| nc " in command and not shutil.which("nc"):
        pytest.skip("there is no nc on this machine; Debian has it in netcat-openbsd")
    _, port = server
    command = command.replace(".venv/bin/python", sys.executable)
    command = command.replace("wordecho.client", f"wordecho.client --port {port}")
    command = command.replace("127.0.0.1 65432", f"127.0.0.1 {port}")
    out, err, status = await process_output("/bin/sh", "-c", command)
    assert (out.decode(), err, status) == (output, "", 0)


@pytest.mark.parametrize(
    ("program", "output"),
    list(zip(code_blocks(README, "python"), code_blocks(README, "text"), strict=True)),
    ids=["socket", "analyze"],
)
@pytest_twisted.ensureDeferred
async def test_a_program_prints_what_the_readme_shows(program: str, output: str) -> None:
    async with twistd("--quiet-period", "0.2") as (_, port):
        out, err, status = await process_output(sys.executable, "-c", program.replace("65432", str(port)))
    assert (out.decode(), err, status) == (output, "", 0)


@pytest_twisted.ensureDeferred
async def test_the_recipe_for_tls_works(tmp_path: Path) -> None:
    assert commands("docs/sockets.rst")[0][0] == MAKE_CERTIFICATE
    make_certificate(tmp_path)
    recipe = r"^   \.venv/bin/twistd (.*6433.*)\n   \.venv/bin/python (.*6433.*)$"
    ((server, client),) = re.findall(recipe, README_TEXT, re.MULTILINE)
    async with ending(Twistd()) as first, ending(Twistd()) as child:
        # The one that the page has started before runs in the same folder.
        start(first, TWISTD, "-n", "wordecho", "--port", "0", path=str(tmp_path))
        await first.listens(1)
        start(child, TWISTD, *server.replace("6433", "0").split(), path=str(tmp_path))
        (address,) = await child.listens(1)
        command = f"cd {tmp_path}; {sys.executable} {client.replace('6433', str(port_of(address)))}"
        out, err, status = await process_output("/bin/sh", "-c", command)
    assert (out, err, status) == (b"2 words, 2 unique, 12 characters, 12 bytes\nHello world\n", "", 0)


def test_the_socket_program_has_ten_lines() -> None:
    program = code_blocks(README, "python")[0]
    assert len([line for line in program.splitlines() if line]) <= 10


def test_continuous_integration_runs_the_test_command_as_it_stands() -> None:
    assert f"\n{TEST_COMMAND}\n" in (ROOT / ".ci" / "run").read_text()
