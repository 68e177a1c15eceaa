"""
The supervisor of ``twistd wordecho --workers``: which worker is to start, to drain or to be killed, and when.

It knows nothing of processes: it is given what starts one, and is told what a worker says and how it has ended. That is
in :mod:`wordecho.service.workers`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from itertools import count
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, LogLevel

from wordecho.service.reports import Report
from wordecho.settings import LONGEST_DELAY, LONGEST_SILENCE, SHORTEST_DELAY, SPARE_TIME


class Stage(Enum):
    STARTING = "starting"  # it has not said yet that it serves
    SERVING = "serving"
    DRAINING = "draining"  # it was told to end
    GONE = "gone"


class Process(Protocol):
    """What the supervisor asks of a worker's process."""

    def signal(self, name: str) -> None:
        """Send it SIG``name``, if it is still there."""


class Place:
    """
    Where one worker serves, and another one may be starting to take its place.

    :ivar number: the first is 0
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.serving: Worker | None = None
        self.starting: Worker | None = None
        self.next_start: IDelayedCall | None = None
        self.delay = SHORTEST_DELAY

    def is_settled(self) -> bool:
        return self.serving is not None and self.starting is None and self.next_start is None


class Worker:
    """
    What the supervisor knows of a worker.

    :ivar number: no other worker of this supervisor has it; the first is 1
    :ivar report: its last
    """

    process: Process

    def __init__(self, number: int, place: Place) -> None:
        self.number = number
        self.place = place
        self.stage = Stage.STARTING
        self.report = Report()
        self.silence = 0  # seconds without a report
        self.serves_since = 0.0
        self.is_outdated = False
        self.kill: IDelayedCall | None = None


class Supervisor:
    """
    Keeps so many workers serving, until it is stopped.

    :param spawn: starts the process of a worker; an :class:`OSError` says that there is none
    :param drain_timeout: seconds that a worker may take to answer what is due
    :param longest_silence: seconds without a report after which a worker is taken for dead
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        spawn: Callable[[Worker], Process],
        number: int,
        *,
        drain_timeout: float,
        longest_silence: int = LONGEST_SILENCE,
    ) -> None:
        self._clock = clock
        self._spawn = spawn
        self._places = [Place(place) for place in range(number)]
        self._drain_time = drain_timeout + SPARE_TIME
        self._longest_silence = longest_silence
        self._numbers = count(1)
        self._workers: list[Worker] = []  # those that are not gone
        self._all_gone: Deferred[None] = Deferred()
        self._is_stopping = False
        self._is_cut_off = False
        self._watch = LoopingCall(self._look)
        self._watch.clock = clock

    def start(self) -> None:
        for place in self._places:
            self._begin(place)
        self._watch.start(1, now=False)

    def replace(self) -> None:
        """
        Have every worker of now replaced, one by one: a new one serves before the old one is told to drain.

        Where that is being done already, it is done once more from here on.
        """
        for worker in self._workers:
            worker.is_outdated = True
        self._replace_next()

    def stop(self) -> Deferred[None]:
        """Have all workers drain and end; fires when they have."""
        if not self._is_stopping:
            self._is_stopping = True
            for place in self._places:
                _cancel(place.next_start)
            for worker in self._workers:
                if worker.stage is not Stage.DRAINING:
                    self._drain(worker)
            self._finish_if_alone()
        return self._all_gone

    def cut_off(self) -> None:
        """Have all workers end at once, by a second signal; whichever does not is killed soon."""
        if self._is_cut_off:  # a third signal must not give them more time
            return
        self._is_cut_off = True
        self.stop()
        for worker in self._workers:
            worker.process.signal("INT")  # a second SIGTERM would be lost in the first, where that is still pending
            self._kill_later(worker, SPARE_TIME)

    def heard(self, worker: Worker, report: Report) -> None:
        """Take note of what ``worker`` says."""
        worker.silence = 0
        worker.report = report
        if worker.stage is not Stage.STARTING:
            return
        worker.stage = Stage.SERVING
        worker.serves_since = self._clock.seconds()
        place = worker.place
        old, place.serving, place.starting = place.serving, worker, None
        if old is not None:
            self._drain(old)
        self._replace_next()

    def ended(self, worker: Worker, how: str) -> None:
        """Take note that the process of ``worker`` has ended."""
        was_to_end = worker.stage is Stage.DRAINING
        self.log.emit(
            LogLevel.info if was_to_end else LogLevel.warn,
            "worker {number} ended while {stage}: {how}; its last report: {open} connections open of {taken} taken",
            number=worker.number,
            stage=worker.stage.value,
            how=how,
            open=worker.report.connections,
            taken=worker.report.taken,
        )
        worker.stage = Stage.GONE
        self._workers.remove(worker)
        _cancel(worker.kill)
        place = worker.place
        if place.starting is worker:
            place.starting = None
        elif place.serving is worker:
            place.serving = None
            if self._clock.seconds() - worker.serves_since >= LONGEST_DELAY:
                place.delay = SHORTEST_DELAY
        if self._is_stopping:
            self._finish_if_alone()
        elif was_to_end:
            self._replace_next()
        elif place.starting is None and place.next_start is None:
            self._begin_later(place)

    def _begin(self, place: Place) -> None:
        place.next_start = None
        worker = Worker(next(self._numbers), place)
        try:
            worker.process = self._spawn(worker)
        except OSError as error:
            self.log.error("worker {number} cannot be started: {error}", number=worker.number, error=error)
            self._begin_later(place)
        else:
            place.starting = worker
            self._workers.append(worker)

    def _begin_later(self, place: Place) -> None:
        place.next_start = self._clock.callLater(place.delay, self._begin, place)
        place.delay = min(2 * place.delay, LONGEST_DELAY)

    def _replace_next(self) -> None:
        """Begin to replace one worker, if that is due, one serves in every place and nobody is on the way in or out."""
        is_draining = any(worker.stage is Stage.DRAINING for worker in self._workers)
        if not is_draining and all(place.is_settled() for place in self._places):
            outdated = next((worker for worker in self._workers if worker.is_outdated), None)
            if outdated is not None:
                self._begin(outdated.place)

    def _drain(self, worker: Worker) -> None:
        worker.stage = Stage.DRAINING
        worker.process.signal("TERM")
        self._kill_later(worker, self._drain_time)

    def _kill_later(self, worker: Worker, seconds: float) -> None:
        _cancel(worker.kill)
        why = f"it has not ended in {seconds:g} s"
        worker.kill = self._clock.callLater(seconds, self._kill, worker, why)

    def _kill(self, worker: Worker, why: str) -> None:
        self.log.warn("worker {number} is killed: {why}", number=worker.number, why=why)
        worker.process.signal("KILL")

    def _look(self) -> None:
        # Looks are counted, not seconds by the clock: after a stall of this process itself, there is one look only, and
        # what the workers have said meanwhile is read before the next.
        for worker in self._workers:
            worker.silence += 1
            if worker.silence == self._longest_silence:
                self._kill(worker, f"nothing was heard of it for {worker.silence} s")

    def _finish_if_alone(self) -> None:
        if not self._workers:
            self._watch.stop()
            self._all_gone.callback(None)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()
