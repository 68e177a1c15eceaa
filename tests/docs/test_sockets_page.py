"""The snippets of docs/sockets.rst, run against the server that the page starts; what comes out is what it shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_twisted

from tests.furniture.kinds import make_certificate
from tests.furniture.processes import ending, port_of, process_output, spawn_twistd
from tests.furniture.snippets import code_blocks, commands
from tests.furniture.sockets import has_ipv6

PAGE = "docs/sockets.rst"

(MAKE_CERTIFICATE, _), (START, _), *COMMANDS = commands(PAGE)
PROGRAMS = list(zip(code_blocks(PAGE, "python"), code_blocks(PAGE, "text"), strict=True))


class Tour:
    """The server of the tour, and the folder that it runs in."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        self.folder = folder
        tcp, udp, _, tls, proxy = addresses
        self._ports = {65432: port_of(tcp), 65433: port_of(tls), 65434: port_of(proxy)}
        self._udp_port = port_of(udp)

    async def run(self, command: str) -> str:
        """Run ``command`` in the server's folder and return what it prints."""
        path = f"PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH"
        out, err, status = await process_output(
            "/bin/sh", "-c", f"cd {shlex.quote(str(self.folder))}\n{path}\n{command}"
        )
        assert status == 0, err
        assert not err or "openssl s_client" in command  # which talks there about what it does
        return out.decode()

    def with_real_ports(self, snippet: str) -> str:
        """Return ``snippet`` with the ports that the server has got in place of those of the page."""
        is_udp = re.search("--udp|UDP:|SOCK_DGRAM", snippet)
        ports = self._ports | ({65432: self._udp_port} if is_udp else {})
        if "wordecho.client" in snippet and "--port" not in snippet and "unix:" not in snippet:
            snippet = snippet.replace("wordecho.client", "wordecho.client --port 65432")
        # A port within a header of the PROXY protocol is what the page prints; it is in no parentheses with an address.
        return re.sub(r"(?<!50000, )(?<!50000 )\b6543[234]\b", lambda port: str(ports[int(port[0])]), snippet)


@asynccontextmanager
async def on_tour(folder: Path) -> AsyncIterator[Tour]:
    """Start the server of the tour in ``folder``, as the page does."""
    make_certificate(folder)
    program, *options = shlex.split(re.sub(r"\b6543[234]\b", "0", START))
    assert [program, *options[:2]] == ["twistd", "-n", "wordecho"]
    async with ending(spawn_twistd(*options[2:], folder=str(folder))) as child:
        yield Tour(folder, await child.listens(5))
    assert "Traceback" not in child.log, child.log


def what_is_missing(snippet: str) -> str | None:
    """Return what ``snippet`` needs and this machine does not have."""
    for tool, package in (("nc", "netcat-openbsd"), ("socat", "socat"), ("openssl", "openssl")):
        if re.search(rf"\| +{tool} ", snippet) and not shutil.which(tool):
            return f"{tool} (Debian has it in {package})"
    return "IPv6" if "::1" in snippet and not has_ipv6() else None


def skip_for(missing: set[str | None]) -> None:
    """Say what of the page has not been run."""
    if any(missing):
        pytest.skip(f"this machine has no {', '.join(filter(None, missing))}; what needs none of it has passed")


def test_the_tests_make_their_certificates_as_the_page_does() -> None:
    assert MAKE_CERTIFICATE.startswith("openssl req -x509 ")


@pytest_twisted.ensureDeferred
async def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    assert len(COMMANDS) == 8
    async with on_tour(tmp_path) as tour:
        for command, output in COMMANDS:
            if not what_is_missing(command):
                assert await tour.run(tour.with_real_ports(command)) == output, command
    skip_for({what_is_missing(command) for command, _ in COMMANDS})


@pytest_twisted.ensureDeferred
async def test_the_programs_print_what_the_page_shows(tmp_path: Path) -> None:
    assert len(PROGRAMS) == 11
    async with on_tour(tmp_path) as tour:
        for program, output in PROGRAMS:
            if not what_is_missing(program):
                printed = await tour.run(
                    f"{shlex.quote(sys.executable)} -c {shlex.quote(tour.with_real_ports(program))}"
                )
                assert printed == output, program
    skip_for({what_is_missing(program) for program, _ in PROGRAMS})
