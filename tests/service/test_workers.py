"""What is promised of ``--workers``: real processes that share a port."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.furniture.processes import PATIENCE, spawn_twistd, twistd
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


@pytest_twisted.ensureDeferred
async def test_a_stop_answers_what_is_due_and_leaves_no_worker() -> None:
    def check(pid: int, port: int) -> set[int]:
        wait_until(lambda: len(workers(pid)) == 2)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            assert is_answered(connection)
            remaining = workers(pid)
            connection.sendall(b"two\n")
            os.kill(pid, signal.SIGTERM)
            assert read_all(connection).count(b"\n") == 1
        return remaining

    async with twistd("--workers", "2") as (server, port):
        remaining = await deferToThread(check, server.pid, port)
        await server.ended
    assert not any(map(is_there, remaining))


@pytest_twisted.ensureDeferred
async def test_workers_do_not_outlive_a_supervisor_that_is_killed() -> None:
    async with twistd("--workers", "2") as (server, _):
        await deferToThread(wait_until, lambda: len(workers(server.pid)) == 2)
        remaining = workers(server.pid)
        server.signal("KILL")
        await server.ended
        await deferToThread(wait_until, lambda: not any(map(is_there, remaining)))


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_one_sentence_and_exit_status_1_for_workers_too() -> None:
    async with twistd("--workers", "2") as (_, port):
        child = spawn_twistd("--port", str(port), "--interface", "127.0.0.1", "--workers", "2")
        assert await child.ended == 1
    assert f"wordecho: Couldn't listen on 127.0.0.1:{port}: [Errno 98] Address already in use." in child.log
    assert "Traceback" not in child.log
