"""What is loaded by whom: a program that uses the client pays for no command, and the command loads nothing twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest_twisted

from tests.furniture.processes import process_output


@pytest_twisted.ensureDeferred
async def test_a_program_gets_nothing_of_the_command_and_chooses_its_own_reactor() -> None:
    out, err, status = await process_output(sys.executable, "-c", "import sys, wordecho.client; print(*sys.modules)")
    assert (err, status) == ("", 0)
    loaded = set(out.decode().split())
    assert {"wordecho.client.connection", "wordecho.client.datagram"} < loaded
    of_the_command = {f"wordecho.client.{name}" for name in ("__main__", "command", "options", "printing")}
    assert loaded.isdisjoint({"wordecho.options", "wordecho.sockets.tls", "twisted.internet.reactor", *of_the_command})


@pytest_twisted.ensureDeferred
async def test_the_command_loads_nothing_twice() -> None:
    program = """if True:
        import runpy, sys

        def show_and_exit(status):
            print(status, *(getattr(module, "__file__", None) for module in list(sys.modules.values())))
            raise SystemExit

        sys.argv[1:] = ["--colour"]
        sys.exit = show_and_exit
        runpy.run_module("wordecho.client", run_name="__main__", alter_sys=True)
    """
    out, _, _ = await process_output(sys.executable, "-c", program)
    status, *files = out.decode().split()
    ours = [file for file in files if Path(file).parent.name == "client"]
    assert status == "2"
    assert {"__main__.py", "command.py", "connection.py"} < {Path(file).name for file in ours}
    assert len(ours) == len(set(ours))
