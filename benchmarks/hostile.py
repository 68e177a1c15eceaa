"""
What an attack does to a polite client, and to the server: a table with a row for each attack.

``python -m benchmarks.hostile [--seconds 8] [--tree FOLDER]... [--only REGEX]``. For each attack it starts a server of
its own on loopback, with two polite clients beside the attacker: one asks every 20 ms over a connection that it keeps,
the other over a new one each time. Then, while the attack goes on, it sends SIGTERM. ``--tree`` attacks another
checkout, with its kernel built in place; given twice, it has the figures before a change beside those after it, each
attack on the one right after that on the other, for everything here shares the machine with whatever else it does.
All attacks, each as long as it is by default, are written into ``docs/reliability.rst``.

``--quick`` takes half a minute for the worst of it, prints what it finds, and fails where a polite client lost a reply
or a stop did not end in time. It asserts nothing of how fast anything is.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from benchmarks.attacks import (
    DEAR,
    HOST,
    Attack,
    Attacker,
    Target,
    be_deaf,
    be_silent,
    be_slow,
    crowd,
    flood,
    forge,
    pipeline,
)
from benchmarks.growth import resident
from benchmarks.load import PATIENCE, cpu_seconds
from benchmarks.report import brief, replace_part, table
from benchmarks.servers import HERE, TWISTD
from tests.furniture.kinds import make_certificate

EVERY = 0.02  # seconds between two messages of a polite client
SECONDS = 8
STOPS = 25
CLIENTS = 16  # that connect in a loop while a server stops
DRAIN_TIMEOUT = 10
ROOM = 5  # seconds that a stop may take beyond its limit where the machine is busy

REPLY = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}\n'

LIMITED = ("--max-connections", "100")


@dataclass
class Case:
    """
    An attack, and the options of the server that it is for.

    :ivar is_quick: whether it is one of the worst
    """

    attack: Attack | None
    options: tuple[str, ...] = ()
    is_quick: bool = False


CASES = {
    "nobody": Case(None),
    "a datagram forged as from the server": Case(forge),
    "empty datagrams": Case(flood(b""), is_quick=True),
    "datagrams of 65 kB, Ahom lines": Case(flood(DEAR["Ahom lines"]), is_quick=True),
    **{
        f"{number} connections, {name}": Case(pipeline(number, text), is_quick=(number, name) == (100, "Ahom lines"))
        for number in (20, 100)
        for name, text in DEAR.items()
    },
    "5 000 slow connections": Case(be_slow),
    "20 that never read": Case(be_deaf),
    "200 unfinished handshakes, limit 100": Case(be_silent("tls", 200), LIMITED),
    "300 at once beyond the limit": Case(crowd, LIMITED, is_quick=True),
    "50 without their PROXY header": Case(be_silent("proxied", 50), is_quick=True),
}


@contextmanager
def serving(
    tree: Path, *options: str, drain_timeout: int = DRAIN_TIMEOUT
) -> Iterator[tuple[Target, subprocess.Popen[bytes]]]:
    """Run the server of the checkout ``tree`` with a port of every kind."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        make_certificate(Path(folder))
        log = Path(folder, "log")
        kinds = ["--port=0", f"--interface={HOST}", "--udp=0", f"--drain-timeout={drain_timeout}"]
        kinds += [f"--listen={kind}:tcp:0:interface={HOST}" for kind in ("tls", "haproxy")]
        kinds += [f"--{file}={folder}/{file}.pem" for file in ("cert", "key")]
        process = subprocess.Popen(
            [TWISTD, "-n", "--pidfile=", "wordecho", *kinds, *options],
            stdout=stack.enter_context(log.open("w")),
            stderr=subprocess.STDOUT,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
        )
        try:
            yield Target(*ports(process, log)), process
        finally:
            process.kill()
            process.wait()


def ports(process: subprocess.Popen[bytes], log: Path) -> list[int]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = re.findall(rf"Listening on {re.escape(HOST)}:(\d+)", log.read_text())
        if len(found) == 4:
            return list(map(int, found))
        time.sleep(0.05)
    raise SystemExit(f"The server does not start: {log.read_text()}")


class Polite(Thread):
    """
    A client that asks one message at a time, and waits for its reply.

    :param anew: whether it does so over a new connection each time
    :ivar waits: seconds that each reply took, that of a refusal too
    :ivar refused: how often it was told that the server is full
    :ivar lost: how often there was no reply
    """

    def __init__(self, port: int, *, anew: bool) -> None:
        super().__init__(daemon=True)
        self.waits: list[float] = []
        self.refused = 0
        self.lost = 0
        self._port = port
        self._is_anew = anew
        self._is_over = Event()
        self._connection: socket.socket | None = None
        if not anew:
            self._connection = socket.create_connection((HOST, port), timeout=PATIENCE)

    def __enter__(self) -> Polite:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self.join()

    def run(self) -> None:
        while not self._is_over.is_set():
            begun = time.perf_counter()
            self._ask(begun)
            self._is_over.wait(max(0, begun + EVERY - time.perf_counter()))
        if self._connection is not None:
            self._connection.close()

    def _ask(self, begun: float) -> None:
        connection, self._connection = self._connection, None
        came = b""
        try:
            connection = connection or socket.create_connection((HOST, self._port), timeout=PATIENCE)
            try:
                connection.sendall(b"one\n")
            finally:
                while not came.endswith(b"\n") and (data := connection.recv(1024)):
                    came += data
        except OSError:
            pass
        if came == REPLY:
            self.waits.append(time.perf_counter() - begun)
        elif b'"too-many-connections"' in came:
            self.waits.append(time.perf_counter() - begun)
            self.refused += 1
        else:
            self.lost += 1
        if came == REPLY and not self._is_anew:
            self._connection = connection
        elif connection is not None:
            connection.close()

    def __str__(self) -> str:
        """The median, the 99th of a hundred, and the longest wait, in milliseconds."""
        waits = sorted(self.waits)
        parts = [waits[int(len(waits) * part)] for part in (0.5, 0.99)] + waits[-1:] if waits else []
        return " / ".join(brief(part * 1000) for part in parts) or "none"


@dataclass
class Finding:
    """What an attack did."""

    kept: Polite
    new: Polite
    cpu: float
    memory: int
    stop: float
    counted: dict[str, int]

    HEADING = ("attack", "kept, ms", "new, ms", "lost", "refused", "CPU %", "MB", "stop, s", "the attacker")

    def row(self, name: str) -> list[str]:
        polite = self.kept, self.new
        return [
            name,
            *map(str, polite),
            f"{sum(each.lost for each in polite)} of {sum(each.lost + len(each.waits) for each in polite)}",
            str(sum(each.refused for each in polite)),
            f"{self.cpu * 100:.0f}",
            f"{self.memory / 2**20:.1f}",
            f"{self.stop:.1f}",
            ", ".join(f"{count} {what}" for what, count in self.counted.items()) or "-",
        ]


def peak(pid: int) -> int:
    """Return the most octets of memory that process ``pid`` has had."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def try_attack(case: Case, tree: Path, seconds: float, drain_timeout: int) -> Finding:
    with serving(tree, *case.options, drain_timeout=drain_timeout) as (target, process), ExitStack() as attack:
        kept, new = Polite(target.tcp, anew=False), Polite(target.tcp, anew=True)
        memory = resident(process.pid)
        attacker = attack.enter_context(Attacker(case.attack, target)) if case.attack else None
        with kept, new:
            cpu, begun = cpu_seconds(process.pid), time.perf_counter()
            time.sleep(seconds)
            cpu, elapsed = cpu_seconds(process.pid) - cpu, time.perf_counter() - begun
        memory = peak(process.pid) - memory
        stop = stop_of(process, drain_timeout)
        attack.close()
    return Finding(kept, new, cpu / elapsed, memory, stop, attacker.counted if attacker else {})


def stop_of(process: subprocess.Popen[bytes], drain_timeout: int) -> float:
    """Stop ``process``, and return how many seconds that took, or after which it was given up."""
    begun = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(drain_timeout + 60)
    return time.perf_counter() - begun


def try_stops(tree: Path, number: int) -> Counter[str]:
    """Stop so many servers while clients connect in a loop; count what becomes of these."""
    found: Counter[str] = Counter({"answered": 0, "refused by the kernel": 0, "reset": 0, "ended without a word": 0})
    for _ in range(number):
        with serving(tree) as (target, process):
            threads = [Thread(target=connect_again, args=(target.tcp, found)) for _ in range(CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(0.3)
            stop = stop_of(process, DRAIN_TIMEOUT)
            for thread in threads:
                thread.join()
            found["ms of the longest stop"] = max(found["ms of the longest stop"], round(stop * 1000))
    return found


def connect_again(port: int, found: Counter[str]) -> None:
    """Connect, ask, read and close until nobody listens any more."""
    while True:
        try:
            connection = socket.create_connection((HOST, port), timeout=PATIENCE)
        except OSError:
            found["refused by the kernel"] += 1
            return
        with connection:
            try:
                connection.sendall(b"one\n")
                found["answered" if connection.recv(1024) else "ended without a word"] += 1
            except OSError:
                found["reset"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description="Attack a wordecho server.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each attack [default: %(default)s]")
    parser.add_argument(
        "--tree",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="the checkout to attack; may be repeated [default: this one]",
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="the attacks whose names it finds, or 'stops'")
    parser.add_argument("--quick", action="store_true", help="half a minute of the worst, and fail where one harms")
    options = parser.parse_args()
    trees = [tree.resolve() for tree in options.tree or [HERE.parent]]
    if options.quick:
        sys.exit(max(map(try_quickly, trees)))
    text = "\n\n".join(attacks_on(trees, options.seconds, lambda name: bool(re.search(options.only, name))))
    print(text)
    if not options.only and options.seconds == SECONDS:
        replace_part("attacks", text, "reliability.rst")


def attacks_on(trees: list[Path], seconds: float, is_wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the table of the attacks that are wanted, and what the stops came to."""
    rows = [list(Finding.HEADING)]
    for name, case in CASES.items():
        for tree in trees if is_wanted(name) else ():
            found = try_attack(case, tree, seconds, DRAIN_TIMEOUT)
            rows.append(found.row(name if len(trees) == 1 else f"{name} ({tree.name})"))
            print(*rows[-1], sep="  |  ", file=sys.stderr, flush=True)
    if len(rows) > 1:
        yield table(rows)
    for tree in trees if is_wanted("stops") else ():
        what = ", ".join(f"{count} {what}" for what, count in try_stops(tree, STOPS).items())
        whose = "" if len(trees) == 1 else f" ({tree.name})"
        yield f"{STOPS} stops with {CLIENTS} clients that connect in a loop{whose}: {what}."


def try_quickly(tree: Path) -> int:
    """Try the worst attacks for a short while; return the exit status."""
    drain_timeout = 4
    problems = []
    for name, case in CASES.items():
        if case.is_quick:
            finding = try_attack(case, tree, 2, drain_timeout)
            print(" | ".join(finding.row(name)), flush=True)
            if lost := finding.kept.lost + finding.new.lost + finding.counted.get("untold", 0):
                problems.append(f"{name}: {lost} had no reply")
            if not finding.kept.waits:
                problems.append(f"{name}: a polite client had no reply at all")
            if finding.stop > drain_timeout + ROOM:
                problems.append(f"{name}: the stop took {finding.stop:.1f} s, its limit is {drain_timeout}")
    found = try_stops(tree, 5)
    print(f"stops: {dict(found)}")
    if found["answered"] == 0 or found["reset"] + found["ended without a word"] > found["answered"] // 100:
        problems.append(f"stops: {found['reset']} reset, {found['ended without a word']} ended without a word")
    print("\n".join(problems) or "Nothing is lost, and every stop ends in time.")
    return 1 if problems else 0


if __name__ == "__main__":
    main()
