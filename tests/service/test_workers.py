"""What is promised of ``--workers``: real processes that share a port."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.furniture.processes import PATIENCE, TWISTD, Twistd, ending, port_of, reactor, spawn_twistd, twistd
from tests.furniture.sockets import read_all, talk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the workers of a process are read from /proc")


def workers(pid: int) -> set[int]:
    """Return the processes that process ``pid`` has started and that are there."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_answered(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"one\n")
        return connection.recv(1024).endswith(b"}\n")
    except ConnectionError:
        return False


@pytest_twisted.ensureDeferred
async def test_a_worker_that_dies_is_started_again_and_the_connections_of_the_others_go_on() -> None:
    def check(pid: int, port: int) -> None:
        wait_until(lambda: len(workers(pid)) == 2)
        connections = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in range(40)]
        assert all(map(is_answered, connections))
        victim = min(workers(pid))
        os.kill(victim, signal.SIGKILL)
        answered = sum(map(is_answered, connections))
        assert 0 < answered < 40  # each worker had some of them: with 40 connections that is as good as certain
        wait_until(lambda: len(workers(pid) - {victim}) == 2)
        for _ in range(20):
            assert talk(port, b"one\n").count(b"\n") == 1
        for connection in connections:
            connection.close()

    async with twistd("--workers", "2") as (server, port):
        await deferToThread(check, server.pid, port)
    first, *_ = re.findall(r"^.*wordecho [0-9.]+, .* engine.*$", server.log, re.MULTILINE)
    assert re.match(r"\S+ \[\S+\] wordecho ", first), first  # the supervisor's own, with no number of a worker


@pytest_twisted.ensureDeferred
async def test_sighup_replaces_every_worker_and_no_reply_is_lost() -> None:
    has_ended = Event()

    def talk_on(port: int) -> int:
        times = 0
        while not has_ended.is_set():
            assert talk(port, b"one\n" * 50).count(b"\n") == 50
            times += 1
        return times

    def replace(pid: int) -> None:
        try:
            wait_until(lambda: len(workers(pid)) == 2)
            before = workers(pid)
            os.kill(pid, signal.SIGHUP)
            wait_until(lambda: len(workers(pid)) == 2 and not workers(pid) & before)
        finally:
            has_ended.set()

    async with twistd("--workers", "2") as (server, port):
        talking = deferToThread(talk_on, port)
        await deferToThread(replace, server.pid)
        assert await talking > 0
    assert "is killed" not in server.log


def stop_while_a_reply_is_due(pid: int, port: int, stop: Callable[[], None]) -> set[int]:
    """Have the message that a connection has just sent answered by workers that ``stop``; return who they were."""
    wait_until(lambda: len(workers(pid)) == 2)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        assert is_answered(connection)
        remaining = workers(pid)
        connection.sendall(b"two\n")
        stop()
        assert read_all(connection).count(b"\n") == 1
    return remaining


@pytest_twisted.ensureDeferred
async def test_a_stop_answers_what_is_due_and_leaves_no_worker() -> None:
    async with twistd("--workers", "2") as (server, port):
        remaining = await deferToThread(
            stop_while_a_reply_is_due, server.pid, port, lambda: os.kill(server.pid, signal.SIGTERM)
        )
        await server.ended
    assert not any(map(is_there, remaining))


@pytest_twisted.ensureDeferred
async def test_the_interrupt_of_a_terminal_answers_what_is_due_too() -> None:
    # A terminal sends it to the whole process group; two of them would have the workers cut off their connections.
    async with twistd("--workers", "2", limit='set -- setsid "$@"') as (server, port):
        assert os.getpgid(server.pid) == server.pid
        await deferToThread(stop_while_a_reply_is_due, server.pid, port, lambda: os.killpg(server.pid, signal.SIGINT))
        await server.ended


@pytest_twisted.ensureDeferred
async def test_workers_do_not_outlive_a_supervisor_that_is_killed_but_answer_what_is_due() -> None:
    async with twistd("--workers", "3") as (server, port):
        await deferToThread(wait_until, lambda: len(workers(server.pid)) == 3)
        remaining = workers(server.pid)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            assert await deferToThread(is_answered, connection)
            connection.sendall(b"two\n")
            server.signal("KILL")
            assert (await deferToThread(read_all, connection)).count(b"\n") == 1
        await server.ended
        await deferToThread(wait_until, lambda: not any(map(is_there, remaining)))


@pytest_twisted.ensureDeferred
async def test_a_second_signal_ends_every_worker_at_once() -> None:
    def fill(connection: socket.socket) -> None:
        connection.settimeout(0.5)
        with suppress(TimeoutError):
            while True:  # until nobody takes any more; a drain waits for this peer to read
                connection.sendall(b"two words\n" * 1000)

    async with twistd("--workers", "2", "--drain-timeout", "3600") as (server, port):
        with ExitStack() as stack:
            for _ in range(2):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
                await deferToThread(fill, connection)
            server.signal("TERM")
            await server.logged("draining: ")
            server.signal("TERM")
            await server.ended
    assert "is killed" not in server.log


@pytest_twisted.ensureDeferred
async def test_twistd_and_twist_run_workers_alike_on_the_reactor_that_they_were_told() -> None:
    chosen = "--reactor=select"
    for command in ["twistd", "-n", "--pidfile=", chosen], ["twist", "--log-format=text", chosen]:
        async with ending(Twistd()) as server:
            command[0] = str(Path(TWISTD).with_name(command[0]))
            options = ["wordecho", "--workers", "2", "--port", "0", "--interface", "127.0.0.1"]
            reactor.spawnProcess(server, command[0], [*command, *options], env=os.environ)
            address, _ = await server.listens(2)
            assert (await deferToThread(talk, port_of(address), b"one\n")).count(b"\n") == 1
        numbers = re.findall(r"\[worker (\d)\] .*reactor class: twisted.internet.selectreactor.Select", server.log)
        assert sorted(numbers) == ["1", "2"], server.log
        assert "Traceback" not in server.log, server.log


@pytest_twisted.ensureDeferred
async def test_where_workers_can_no_more_be_started_the_log_says_so_and_a_stop_is_a_stop(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    program = "from twisted.scripts.twistd import run; run()"
    options = ["-n", "--pidfile=", "wordecho", "--workers", "2", "--port", "0", "--interface", "127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    async with ending(Twistd()) as server:
        reactor.spawnProcess(server, str(python), [str(python), "-c", program, *options], env=environment)
        await server.listens(2)
        python.unlink()
        os.kill(min(workers(server.pid)), signal.SIGKILL)
        await server.logged(r"worker [12] ended while \w+: signal 9 \(Killed\)")
        await server.logged("worker 4 cannot be started: .*No such file or directory")
        server.signal("TERM")
        await server.ended
    assert "Traceback" not in server.log, server.log


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_one_sentence_and_exit_status_1_for_workers_too() -> None:
    async with twistd("--workers", "2") as (_, port):
        child = spawn_twistd("--port", str(port), "--interface", "127.0.0.1", "--workers", "2")
        assert await child.ended == 1
    assert f"wordecho: Couldn't listen on 127.0.0.1:{port}: [Errno 98] Address already in use." in child.log
    assert "Traceback" not in child.log
