"""The service that ``--workers`` makes, on a reactor whose processes are fakes: what it spawns, reads and is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted import internet
from wordecho.service import Options, makeService
from wordecho.service.workers import WorkersService


class FakeProcess:
    """
    A process that was spawned.

    :ivar signals: what it was sent
    """

    def __init__(
        self, protocol: Any, executable: str, args: list[str], env: dict[str, str], childFDs: dict[int, int | str]
    ) -> None:
        self.protocol = protocol
        self.executable = executable
        self.args = args
        self.environment = env
        self.descriptors = childFDs
        self.signals: list[str] = []
        self.is_there = True
        protocol.makeConnection(self)

    def signalProcess(self, name: str) -> None:
        if not self.is_there:
            raise ProcessExitedAlready
        self.signals.append(name)

    def says(self, descriptor: int, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.childDataReceived(descriptor, piece)

    def serves(self, **totals: int) -> None:
        self.says(4, json.dumps(totals).encode() + b"\n")

    def ends(self, *, status: int = 0, by_signal: int | None = None) -> None:
        self.is_there = False
        failed = status or by_signal
        self.protocol.processEnded(Failure(ProcessTerminated(status, by_signal) if failed else ProcessDone(0)))


class ProcessReactor(MemoryReactorClock):
    """A reactor that runs, spawns fakes, and does at once what is to be done in its thread."""

    def __init__(self) -> None:
        super().__init__()
        self.hasRun = True
        self.processes: list[FakeProcess] = []
        self.callLater(10**9, lambda: None)  # where something is due already, makeService leaves the clock alone

    def spawnProcess(self, *arguments: Any, **named_arguments: Any) -> None:
        self.processes.append(FakeProcess(*arguments, **named_arguments))

    def callFromThread(self, function: Callable[[], None]) -> None:
        function()


class WorkersServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = ProcessReactor()
        self.patch(internet, "reactor", self.reactor)
        self.told: list[int] = []
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            before = signal.signal(number, lambda number, _: self.told.append(number))
            self.addCleanup(signal.signal, number, before)

    def start(self, *options: str, parent: Any = None) -> list[FakeProcess]:
        """Start the service of two workers with these ``options``; return the processes, those that are to come too."""
        config = Options()
        config.parent = parent
        config.parseOptions(["--workers=2", "--port=0", "--interface=127.0.0.1", *options])
        service = makeService(config)
        assert isinstance(service, WorkersService)
        self.service = service
        self.service.startService()
        self.addCleanup(self.end)
        return self.reactor.processes

    def end(self) -> None:
        """Stop the service, unless it is stopped already."""
        if self.service.running:
            stopped = self.service.stopService()
            for process in self.reactor.processes:
                if process.is_there:
                    process.ends()
            self.successResultOf(stopped)

    def test_each_worker_has_a_socket_of_its_own_on_the_one_port_and_two_pipes(self) -> None:
        processes = self.start()
        descriptors = [dict(process.descriptors) for process in processes]
        listening = [socket.socket(fileno=os.dup(int(given.pop(3)))) for given in descriptors]
        self.assertEqual(descriptors, [{0: "w", 1: "r", 2: "r", 4: "r"}] * 2)
        self.assertNotEqual(*(os.fstat(each.fileno()).st_ino for each in listening))
        first, second = (each.getsockname() for each in listening)
        self.assertEqual(first, second)
        for each in listening:
            each.close()
        processes[1].serves()
        processes[1].ends(status=1)
        self.reactor.advance(1)
        self.assertEqual(processes[2].descriptors, processes[1].descriptors)
        self.end()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, first, 60)

    def test_a_worker_is_a_twistd_with_the_options_of_the_supervisor_and_a_number_in_its_environment(self) -> None:
        (process, other) = self.start("--counts", "--max-length", "7")
        self.assertEqual((process.executable, process.args[0]), (sys.executable, sys.executable))
        given = ["--workers=2", "--port=0", "--interface=127.0.0.1", "--counts", "--max-length", "7"]
        self.assertEqual(process.args[3:], ["-n", "--pidfile=", "wordecho", *given])
        self.assertEqual(process.environment, {**os.environ, "WORDECHO_WORKER": "1"})
        self.assertEqual(other.environment["WORDECHO_WORKER"], "2")

    def test_the_reactor_that_was_chosen_is_handed_on_by_its_name_whichever_command_it_is(self) -> None:
        for parent, handed_on in (
            ({"reactor": "poll"}, ["--reactor=poll"]),  # twistd
            ({"reactor": object(), "reactorName": "poll"}, ["--reactor=poll"]),  # twist
            ({"reactorName": "default"}, []),  # twist, where none was chosen
            ({}, []),
        ):
            process = self.start(parent=parent)[-1]
            self.assertEqual(process.args[3 : process.args.index("wordecho")], ["-n", "--pidfile=", *handed_on])
            self.end()

    def test_a_report_that_is_cut_anywhere_is_a_report(self) -> None:
        processes = self.start()
        processes[1].says(4, b'{"t')
        for _ in range(60):
            self.reactor.advance(1)
            processes[0].says(4, *(bytes([octet]) for octet in b'{"connections":0,"taken":1}\n'))
            processes[1].says(4, b'aken":1}\n{"t')
        self.assertEqual([process.signals for process in processes], [[], []])

    def test_every_line_of_a_worker_stands_whole_in_the_log_with_its_number(self) -> None:
        process = self.start()[1]
        with capturedLogs() as events:
            process.says(1, b"one\ntw", b"o\n\xff")
            process.says(2, b"three\nno end")
            process.ends(status=3)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                *("[worker 2] one", "[worker 2] two", "[worker 2] three", "[worker 2] \\xff", "[worker 2] no end"),
                "worker 2 ended while starting: exit status 3; its last report: 0 connections open of 0 taken",
            ],
        )

    def test_the_end_by_a_signal_is_told_by_its_number_and_its_name(self) -> None:
        process = self.start()[0]
        process.serves(connections=2, taken=3)
        with capturedLogs() as events:
            process.ends(by_signal=9)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["worker 1 ended while serving: signal 9 (Killed); its last report: 2 connections open of 3 taken"],
        )

    def test_a_worker_may_take_its_drain_timeout_and_5_s_to_end(self) -> None:
        processes = self.start("--drain-timeout=33")
        stopped = self.service.stopService()
        for second in range(38):
            self.assertEqual(processes[0].signals, ["TERM"], second)
            self.reactor.advance(1)
            processes[0].serves()
        self.assertEqual(processes[0].signals, ["TERM", "KILL"])
        for process in processes:
            process.ends()
        self.successResultOf(stopped)

    def test_a_worker_may_be_silent_for_60_s_and_10_more_for_each_megabyte_of_the_longest_message(self) -> None:
        for length, silence in ("65536", 60), ("50000000", 560):
            processes = self.start(f"--max-length={length}")[-2:]
            for process in processes:
                process.serves()
            for second in range(silence):
                self.assertEqual(processes[0].signals, [], second)
                self.reactor.advance(1)
                processes[1].serves()
            self.assertEqual([process.signals for process in processes], [["KILL"], []])
            self.end()

    def test_each_SIGHUP_replaces_the_workers(self) -> None:
        processes = self.start()
        for process in processes:
            process.serves()
        for first in 0, 2:
            os.kill(os.getpid(), signal.SIGHUP)
            for old in first, first + 1:
                processes[-1].serves()
                self.assertEqual(processes[old].signals, ["TERM"])
                processes[old].ends()
        self.assertEqual(len(processes), 6)
        self.assertEqual(self.told, [])

    def test_SIGHUP_during_a_stop_does_nothing(self) -> None:
        processes = self.start()
        stopped = self.service.stopService()
        os.kill(os.getpid(), signal.SIGHUP)
        processes[0].ends()
        self.assertEqual((len(processes), self.told), (2, []))
        processes[1].ends()
        self.successResultOf(stopped)

    def test_a_second_signal_of_either_kind_cuts_the_workers_off(self) -> None:
        for first, second in (signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM):
            processes = self.start()[-2:]
            os.kill(os.getpid(), first)
            self.assertEqual(self.told.pop(), first)
            stopped = self.service.stopService()  # which is what Twisted does at the first
            os.kill(os.getpid(), second)
            self.assertEqual([process.signals for process in processes], [["TERM", "INT"]] * 2)
            self.assertEqual(self.told, [])
            for process in processes:
                process.ends()
            self.successResultOf(stopped)

    def test_after_a_stop_every_signal_is_given_back(self) -> None:
        self.start()
        self.end()
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            os.kill(os.getpid(), number)
        self.assertEqual(self.told, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])

    def test_a_signal_to_a_process_that_has_ended_is_none(self) -> None:
        processes = self.start()
        processes[0].is_there = False  # what its pipes held is still being read
        stopped = self.service.stopService()
        for process in processes:
            process.ends()
        self.successResultOf(stopped)
