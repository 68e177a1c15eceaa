"""What the supervisor has its workers do and when, with a clock and without processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.task import Clock
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from wordecho.service.reports import Report
from wordecho.service.supervisor import Supervisor, Worker


class FakeProcess:
    """The process of a worker that does nothing by itself; it has the ``signals`` that it was sent."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.signals: list[str] = []

    def signal(self, name: str) -> None:
        self.signals.append(name)


class SupervisorTests(SynchronousTestCase):
    """A supervisor of two workers, whose processes are ``self.processes``, in the order in which they were spawned."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.processes: list[FakeProcess] = []
        self.failing: OSError | None = None
        self.tried = 0
        self.supervisor = Supervisor(self.clock, self.spawn, 2, drain_timeout=20)
        self.supervisor.start()

    def spawn(self, worker: Worker) -> FakeProcess:
        self.tried += 1
        if self.failing:
            raise self.failing
        self.processes.append(FakeProcess(worker))
        return self.processes[-1]

    def serves(self, *numbers: int) -> None:
        """Have the workers of these numbers say that they serve, or that they still do."""
        for number in numbers:
            self.supervisor.heard(self.processes[number].worker, Report())

    def ends(self, *numbers: int) -> None:
        for number in numbers:
            self.supervisor.ended(self.processes[number].worker, "signal 9 (Killed)")

    def signals(self) -> list[list[str]]:
        return [process.signals for process in self.processes]

    def places(self, *numbers: int) -> list[int]:
        return [self.processes[number].worker.place.number for number in numbers]

    def pass_time(self, seconds: int, *serving: int) -> None:
        """Let time pass second by second, in each of which the workers ``serving`` say so."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.serves(*serving)


def sentences(events: Sequence[LogEvent]) -> list[str]:
    return [formatEvent(event) for event in events]


class StartTests(SupervisorTests):
    def test_each_place_has_one_worker_and_each_worker_a_number_of_its_own(self) -> None:
        self.assertEqual(self.places(0, 1), [0, 1])
        self.assertEqual([process.worker.number for process in self.processes], [1, 2])
        self.serves(0, 1)
        self.pass_time(3600, 0, 1)
        self.assertEqual(self.signals(), [[], []])


class DeathTests(SupervisorTests):
    def setUp(self) -> None:
        super().setUp()
        self.serves(0, 1)

    def test_a_worker_that_ends_is_followed_by_another_in_its_place(self) -> None:
        self.ends(1)
        self.clock.advance(0.125)
        self.assertEqual(self.places(0, 1, 2), [0, 1, 1])
        self.assertEqual(self.signals(), [[], [], []])

    def test_its_end_is_one_line_with_its_number_its_status_and_what_it_leaves(self) -> None:
        self.supervisor.heard(self.processes[1].worker, Report(connections=3, taken=40))
        with capturedLogs() as events:
            self.ends(1)
            self.clock.advance(0.125)
        self.assertEqual(
            sentences(events),
            ["worker 2 ended while serving: signal 9 (Killed); its last report: 3 connections open of 40 taken"],
        )

    def delays(self, most: int) -> Iterator[float]:
        """Yield the seconds that pass until another worker is spawned, each time that the last one has ended."""
        for _ in range(most):
            self.ends(-1)
            before, spawned = self.clock.seconds(), self.tried
            while self.tried == spawned:
                self.clock.advance(0.125)
                self.serves(0)
                self.assertLess(self.clock.seconds() - before, 60)
            yield self.clock.seconds() - before

    def test_where_one_after_the_other_ends_the_next_waits_twice_as_long_and_10_s_at_most(self) -> None:
        self.assertEqual(list(self.delays(10)), [0.125, 0.25, 0.5, 1, 2, 4, 8, 10, 10, 10])

    def test_one_that_serves_for_less_than_10_s_is_no_better(self) -> None:
        list(self.delays(3))
        self.serves(-1)
        self.pass_time(9, 0, -1)
        self.assertEqual(list(self.delays(2)), [1, 2])

    def test_when_one_has_served_for_10_s_the_next_comes_at_once_again(self) -> None:
        list(self.delays(3))
        self.serves(-1)
        self.pass_time(10, 0, -1)
        self.assertEqual(list(self.delays(2)), [0.125, 0.25])

    def test_each_place_has_delays_of_its_own(self) -> None:
        list(self.delays(6))
        self.serves(-1)
        self.ends(0)
        self.clock.advance(0.125)
        self.assertEqual(self.places(-1), [0])


class SpawnFailureTests(SupervisorTests):
    def setUp(self) -> None:
        super().setUp()
        self.serves(0, 1)
        self.failing = FileNotFoundError(2, "No such file or directory", "/moved/bin/python")
        self.ends(0)

    def test_what_cannot_be_spawned_is_one_line_and_tried_again_later(self) -> None:
        with capturedLogs() as events:
            self.clock.pump([0.125, 0.125])
        self.assertEqual(
            sentences(events),
            ["worker 3 cannot be started: [Errno 2] No such file or directory: '/moved/bin/python'"],
        )
        self.assertEqual(self.tried, 3)
        self.clock.advance(0.125)
        self.assertEqual(self.tried, 4)
        self.failing = None
        self.clock.advance(0.5)
        self.assertEqual(self.places(-1), [0])

    def test_it_is_tried_every_10_s_at_last(self) -> None:
        self.pass_time(60, 1)
        tried = self.tried
        self.pass_time(100, 1)
        self.assertEqual(self.tried - tried, 10)

    def test_it_does_not_keep_the_supervisor_from_stopping(self) -> None:
        self.pass_time(60, 1)
        stopped = self.supervisor.stop()
        self.ends(1)
        self.successResultOf(stopped)
        tried = self.tried
        self.clock.advance(3600)
        self.assertEqual(self.tried, tried)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_supervisor_without_any_worker_stops_at_once(self) -> None:
        self.ends(1)
        self.successResultOf(self.supervisor.stop())

    def test_a_replacement_that_cannot_be_spawned_leaves_the_old_one_serving(self) -> None:
        self.failing = None
        self.clock.advance(0.125)
        self.serves(2)
        self.failing = PermissionError(13, "Permission denied")
        self.supervisor.replace()
        self.pass_time(60, 1, 2)
        self.assertEqual(self.signals()[1:], [[], []])
        self.failing = None
        self.pass_time(10, 1, 2)
        self.assertEqual(len(self.processes), 4)


class SilenceTests(SupervisorTests):
    def setUp(self) -> None:
        super().setUp()
        self.serves(0, 1)

    def restart(self, *, drain_timeout: float = 20, longest_silence: int = 60) -> None:
        """Have another supervisor instead, whose workers are 2 and 3."""
        self.supervisor.stop()
        self.ends(0, 1)
        self.supervisor = Supervisor(
            self.clock, self.spawn, 2, drain_timeout=drain_timeout, longest_silence=longest_silence
        )
        self.supervisor.start()
        self.serves(2, 3)

    def test_a_worker_that_was_not_heard_of_for_60_s_is_killed_once_and_replaced(self) -> None:
        self.pass_time(59, 1)
        self.assertEqual(self.signals(), [[], []])
        with capturedLogs() as events:
            self.pass_time(10, 1)
        self.assertEqual(self.signals(), [["KILL"], []])
        self.assertEqual(sentences(events), ["worker 1 is killed: nothing was heard of it for 60 s"])
        self.ends(0)
        self.clock.advance(0.125)
        self.assertEqual(self.places(0, 1, 2), [0, 1, 0])

    def test_a_worker_that_is_busy_for_50_s_again_and_again_is_left_alone(self) -> None:
        for _ in range(10):
            self.pass_time(50)
            self.serves(0, 1)
        self.assertEqual(self.signals(), [[], []])

    def test_a_worker_that_hangs_while_it_starts_is_killed_too(self) -> None:
        self.ends(0)
        self.clock.advance(0.125)
        self.pass_time(59, 1)
        self.assertEqual(self.signals(), [[], [], []])
        self.pass_time(1, 1)
        self.assertEqual(self.signals(), [[], [], ["KILL"]])

    def test_one_that_hangs_while_it_drains_is_killed_before_its_drain_timeout(self) -> None:
        self.restart(drain_timeout=3600)
        self.supervisor.stop()
        self.pass_time(60, 3)
        self.assertEqual(self.signals()[2:], [["TERM", "KILL"], ["TERM"]])

    def test_a_stall_of_the_supervisor_itself_is_no_silence_of_its_workers(self) -> None:
        self.clock.advance(3600)
        self.serves(0, 1)
        self.assertEqual(self.signals(), [[], []])

    def test_where_messages_may_be_longer_silence_may_be_too(self) -> None:
        self.restart(longest_silence=600)
        self.pass_time(599, 3)
        self.assertEqual(self.signals()[2:], [[], []])
        self.pass_time(1, 3)
        self.assertEqual(self.signals()[2:], [["KILL"], []])


class ReplaceTests(SupervisorTests):
    def setUp(self) -> None:
        super().setUp()
        self.serves(0, 1)

    def replace_round(self, *old: int) -> None:
        """See the workers ``old`` be replaced, the first one of which has its successor starting already."""
        for number in old:
            new = len(self.processes) - 1
            self.assertEqual(self.places(new), self.places(number))
            self.assertEqual(self.processes[number].signals, [])
            self.serves(new)
            self.assertEqual(self.processes[number].signals, ["TERM"])
            self.assertEqual(len(self.processes) - 1, new)
            self.ends(number)

    def test_one_by_one_a_new_worker_serves_before_the_old_one_is_told_to_drain_and_the_next_waits_for_its_end(
        self,
    ) -> None:
        self.supervisor.replace()
        self.replace_round(0, 1)
        self.assertEqual(self.signals(), [["TERM"], ["TERM"], [], []])

    def test_an_old_one_that_has_ended_is_not_followed_by_another(self) -> None:
        self.supervisor.replace()
        self.replace_round(0, 1)
        self.pass_time(60, 2, 3)
        self.assertEqual(self.signals(), [["TERM"], ["TERM"], [], []])

    def test_they_can_be_replaced_again_and_again(self) -> None:
        for first in 0, 2, 4:
            self.supervisor.replace()
            self.replace_round(first, first + 1)
        self.assertEqual(len(self.processes), 8)

    def test_what_is_asked_for_meanwhile_is_one_more_round(self) -> None:
        self.supervisor.replace()
        self.supervisor.replace()
        self.supervisor.replace()
        self.assertEqual(self.signals(), [[], [], []])  # there is only one that starts, however many times it is asked
        self.replace_round(0)
        self.replace_round(1, 2)
        self.assertEqual(len(self.processes), 5)

    def test_what_is_asked_for_while_the_last_one_drains_is_one_more_round(self) -> None:
        self.supervisor.replace()
        self.replace_round(0)
        self.serves(3)
        self.supervisor.replace()
        self.assertEqual(len(self.processes), 4)
        self.ends(1)
        self.replace_round(2, 3)
        self.assertEqual(len(self.processes), 6)

    def test_while_the_new_one_fails_the_old_ones_serve_on(self) -> None:
        self.supervisor.replace()
        for _ in range(5):
            self.ends(-1)
            self.pass_time(10, 0, 1)
        self.assertEqual(self.signals()[:2], [[], []])
        self.assertEqual(self.places(*range(2, len(self.processes))), [0] * 6)
        self.replace_round(0, 1)

    def test_where_the_old_one_dies_while_its_next_successor_waits_only_one_is_started(self) -> None:
        self.supervisor.replace()
        self.ends(2)
        self.ends(0)
        self.pass_time(20, 1)
        self.assertEqual(self.places(*range(len(self.processes))), [0, 1, 0, 0])

    def test_the_others_wait_until_an_old_one_that_died_meanwhile_has_a_successor(self) -> None:
        self.supervisor.replace()
        self.ends(0)
        self.pass_time(20, 1)
        self.assertEqual(self.places(*range(len(self.processes))), [0, 1, 0])  # the one that starts already is the one
        self.serves(2)
        self.assertEqual(self.places(-1), [1])

    def test_a_place_that_waits_for_its_next_worker_gets_one_and_not_two(self) -> None:
        self.ends(0)
        self.supervisor.replace()
        self.assertEqual(len(self.processes), 2)
        self.clock.advance(0.125)
        self.serves(2)
        self.replace_round(1)
        self.pass_time(60, 2, 3)
        self.assertEqual(self.places(*range(len(self.processes))), [0, 1, 0, 1])

    def test_the_death_of_another_one_holds_the_round_up_only(self) -> None:
        self.supervisor.replace()
        self.ends(1)
        self.clock.advance(0.125)
        self.serves(2)
        self.ends(0)
        self.assertEqual(self.places(*range(len(self.processes))), [0, 1, 0, 1])
        self.serves(3)
        self.pass_time(60, 2, 3)
        self.assertEqual(len(self.processes), 4)  # both are newer than the replacement that was asked for

    def test_an_old_one_that_does_not_end_is_killed_5_s_after_its_drain_timeout(self) -> None:
        self.supervisor.replace()
        self.serves(2)
        self.pass_time(24, 0, 1, 2)
        self.assertEqual(self.processes[0].signals, ["TERM"])
        with capturedLogs() as events:
            self.pass_time(1, 0, 1, 2)
        self.assertEqual(self.processes[0].signals, ["TERM", "KILL"])
        self.assertEqual(sentences(events), ["worker 1 is killed: it has not ended in 25 s"])

    def test_nothing_is_replaced_during_a_stop(self) -> None:
        self.supervisor.stop()
        self.supervisor.replace()
        self.ends(0)
        self.supervisor.replace()
        self.assertEqual(self.signals(), [["TERM"], ["TERM"]])


class StopTests(SupervisorTests):
    def setUp(self) -> None:
        super().setUp()
        self.serves(0)  # the other one is still starting

    def test_every_worker_is_told_and_the_stop_ends_with_the_last_of_them(self) -> None:
        stopped = self.supervisor.stop()
        self.assertEqual(self.signals(), [["TERM"], ["TERM"]])
        self.ends(0)
        self.assertNoResult(stopped)
        self.ends(1)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.processes), 2)

    def test_one_that_says_only_now_that_it_serves_drains_all_the_same(self) -> None:
        self.supervisor.stop()
        self.serves(1)
        self.assertEqual(self.signals(), [["TERM"], ["TERM"]])

    def test_nobody_is_killed_before_5_s_after_the_drain_timeout(self) -> None:
        stopped = self.supervisor.stop()
        self.pass_time(24, 0, 1)
        self.assertEqual(self.signals(), [["TERM"], ["TERM"]])
        self.ends(1)
        self.pass_time(1, 0)
        self.assertEqual(self.signals(), [["TERM", "KILL"], ["TERM"]])
        self.ends(0)
        self.successResultOf(stopped)

    def test_one_that_drains_already_is_not_told_twice_which_would_cut_it_off(self) -> None:
        self.serves(1)
        self.supervisor.replace()
        self.serves(2)
        self.supervisor.stop()
        self.assertEqual(self.signals(), [["TERM"], ["TERM"], ["TERM"]])

    def test_a_second_signal_is_handed_on_as_another_one_and_who_stays_is_killed_5_s_later(self) -> None:
        stopped = self.supervisor.stop()
        self.supervisor.cut_off()
        self.assertEqual(self.signals(), [["TERM", "INT"], ["TERM", "INT"]])
        self.ends(1)
        self.pass_time(4, 0)
        self.assertEqual(self.signals(), [["TERM", "INT"], ["TERM", "INT"]])
        self.pass_time(1, 0)
        self.assertEqual(self.signals(), [["TERM", "INT", "KILL"], ["TERM", "INT"]])
        self.ends(0)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_further_signals_give_nobody_more_time(self) -> None:
        self.supervisor.stop()
        self.supervisor.cut_off()
        for _ in range(5):
            self.pass_time(1, 0, 1)
            self.supervisor.cut_off()
        self.assertEqual(self.signals(), [["TERM", "INT", "KILL"]] * 2)

    def test_a_second_signal_that_comes_before_the_stop_has_begun_is_one_all_the_same(self) -> None:
        self.supervisor.cut_off()
        stopped = self.supervisor.stop()
        self.assertEqual(self.signals(), [["TERM", "INT"], ["TERM", "INT"]])
        self.ends(0, 1)
        self.successResultOf(stopped)
