"""
Measures what a message costs ours and its peers, prints the tables, and writes them and their plot into ``docs/``.

All servers run side by side, one of them busy at a time, and every round measures each of them once, so that what the
machine does besides falls on all of them. A ratio is the median of the ratios of each round.

With ``--only`` and ``--against`` it measures some of it, while one develops.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import median

from benchmarks import servers
from benchmarks.load import Figures, Load
from benchmarks.report import bars, brief, replace_part, table
from wordecho import ENGINE

ENGLISH = "The quick brown fox can't jump 32.3 feet, right? The fox."
TEXTS = {
    "French": "Le vif renard brun ne saute pas 32,3 pieds, n'est-ce pas\u202f? Le renard d'été.",
    "Russian": "Быстрая лиса не прыгнет на 32,3 фута, верно? Лиса.",
    "Arabic": "الثعلب البني السريع لا يستطيع القفز 32.3 قدمًا، أليس كذلك؟ الثعلب.",
    "Hebrew": "השועל החום המהיר לא יכול לקפוץ 32.3 רגל, נכון? השועל.",
    "Hindi": "तेज़ भूरी लोमड़ी 32.3 फ़ुट नहीं कूद सकती, है ना? लोमड़ी।",
    "Thai": "สุนัขจิ้งจอกสีน้ำตาลกระโดดไม่ได้ไกล 32.3 ฟุต ใช่ไหม สุนัขจิ้งจอก",
    "Burmese": "မြန်ဆန်တဲ့ မြေခွေးညိုက 32.3 ပေ မခုန်နိုင်ဘူး၊ မဟုတ်ဘူးလား။ မြေခွေး။",
    "Chinese": "敏捷的棕色狐狸跳不了32.3英尺,对吗?狐狸。",
    "Korean": "재빠른 갈색 여우는 32.3피트를 뛸 수 없어요, 그렇죠? 그 여우.",
}
# As its clients send it, and as a line, which costs Redis up to half more where many are in flight.
PINGS = {"Redis PING": b"*1\r\n$4\r\nPING\r\n", "Redis PING, a line": b"PING\r\n"}

OURS = "wordecho"
SOME = [OURS, "wordecho, Python", "uvloop", "node"]
ANALYSING = [*SOME[:3], "asyncio streams", "threads", "node"]
ALL = [*ANALYSING, "Twisted echo", *PINGS]

# The page says what these are, and shows the command that measures so much without being told.
ROUNDS = 9
SECONDS = 0.25


@dataclass
class Case:
    """
    What is measured.

    :ivar connections: how many there are
    :ivar in_flight: how many messages each of them has
    :ivar names: the servers that it is for
    """

    name: str
    connections: int
    in_flight: int
    message: str
    names: Sequence[str]

    def request_to(self, name: str) -> bytes:
        return PINGS.get(name) or self.message.encode() + b"\n"


SHAPES = [Case(f"English, {many}x{each}", many, each, ENGLISH, ALL) for many, each in ((50, 1), (50, 16), (10, 200))]
LONG = Case(
    "English, 64 kB, 10x1", 10, 1, " ".join([ENGLISH] * 1200)[:65536], [name for name in ALL if name not in PINGS]
)
LANGUAGES = [Case(f"{language}, 50x16", 50, 16, text, SOME) for language, text in TEXTS.items()]

Results = dict[tuple[str, str], list[Figures]]


def chosen(only: Sequence[str], against: Sequence[str]) -> list[Case]:
    """
    Return the cases to measure, each with the servers to measure.

    :param only: regular expressions, one of which a case's name has to match somewhere; none for all cases
    :param against: the servers beside wordecho; none for all that a case is for
    """
    return [
        replace(case, names=[name for name in case.names if name == OURS or not against or name in against])
        for case in (*SHAPES, LONG, *LANGUAGES)
        if not only or any(re.search(pattern, case.name) for pattern in only)
    ]


def known_servers() -> dict[str, servers.Server]:
    """Return the servers that this machine has, none of them started."""
    known = {
        OURS: servers.ours(),
        "wordecho, Python": servers.ours(by_python=True),
        "uvloop": servers.peer("uvloop_protocol"),
        "asyncio streams": servers.peer("asyncio_streams"),
        "threads": servers.peer("threads"),
        "Twisted echo": servers.peer("twisted_echo"),
    }
    if node := servers.installed("node"):
        known["node"] = servers.node(node)
    if redis := servers.installed("redis-server"):
        known |= {name: servers.redis(redis) for name in PINGS}
    return known


def measure(cases: Sequence[Case], rounds: int, seconds: float) -> Results:
    wanted = {name for case in cases for name in case.names}
    results: Results = {}
    with ExitStack() as stack:
        running = {name: stack.enter_context(server) for name, server in known_servers().items() if name in wanted}
        for number in range(rounds):
            for case in cases:
                for name in case.names if number % 2 else reversed(case.names):
                    if name in running:
                        port, pid = running[name]
                        try:
                            with Load(port, case.connections, case.in_flight, case.request_to(name)) as load:
                                figures = load.measure(pid, seconds)
                        except OSError as error:
                            raise SystemExit(f"{name}, {case.name}: {error}") from error
                        results.setdefault((case.name, name), []).append(figures)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return results


def cpu(figures: list[Figures]) -> float:
    """Return the microseconds of a server's processor time for a message."""
    return median(figure.cpu for figure in figures) * 1e6


def part(ours: list[Figures], figures: list[Figures]) -> float:
    """Return what part ``ours`` is of what another server took in the same rounds."""
    return median(own.cpu / other.cpu for own, other in zip(ours, figures, strict=True))


def full_rows(case: Case, results: Results) -> Iterator[list[str]]:
    """All that is known of one case: a row for each server."""
    yield ["server", "CPU µs", "wordecho's part of it", "messages/s", "p50 ms", "p99 ms"]
    for name in case.names:
        if figures := results.get((case.name, name)):
            yield [
                name,
                brief(cpu(figures)),
                brief(part(results[case.name, OURS], figures)),
                f"{median(figure.rate for figure in figures):.0f}",
                brief(median(figure.p50 for figure in figures) * 1e3),
                brief(median(figure.p99 for figure in figures) * 1e3),
            ]


def cost_rows(cases: Sequence[Case], results: Results) -> Iterator[list[str]]:
    """What many cases cost: a row for each of them, and a column for each server."""
    names = [name for name in cases[0].names if (cases[0].name, name) in results]
    yield ["case", *names]
    for case in cases:
        found = {name: results[case.name, name] for name in names}
        costs = [f"{brief(cpu(figures))} ({brief(part(found[OURS], figures))})" for figures in found.values()]
        yield [case.name, brief(cpu(found[OURS])), *costs[1:]]


def tables(cases: Sequence[Case], results: Results) -> Iterator[str]:
    languages = [case for case in cases if case.name in {language.name for language in LANGUAGES}]
    for case in cases:
        if case not in languages:
            yield f"{case.name}:"
            yield table(full_rows(case, results))
    if languages:
        yield "CPU µs in other languages, and in brackets wordecho's part of it:"
        yield table(cost_rows(languages, results))


def versions() -> str:
    packages = ["wordecho", "Twisted", "msgspec", "unicode-segmentation-rs", "icu4py", "uvloop"]
    found = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    for name, program in (("node", "node"), ("Redis", "redis-server")):
        if number := servers.version_of(program):
            found.append(f"{name} {number}")
    return f"{platform.system()} on {os.cpu_count()} cores; {', '.join(found)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What a message costs the server. Only all of it, measured as it is by default, goes into docs/.",
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="how often everything is measured [default: %(default)s]"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each time [default: %(default)s]")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CASE",
        help="measure the cases whose names this regular expression finds, such as Thai or 50x1$; may be repeated",
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        choices=ALL[1:],
        metavar="NAME",
        help=f"measure wordecho and this one: {'; '.join(ALL[1:])}; may be repeated",
    )
    parser.add_argument("--no-write", action="store_true", help="print the tables and leave docs/ as it is")
    options = parser.parse_args()
    if ENGINE != "native":
        parser.error("the native kernel is not built here, or WORDECHO_NATIVE is 0; both engines are to be measured")
    cases = chosen(options.only, options.against)
    if not cases:
        parser.error(f"none of the cases is {' or '.join(options.only)}")
    results = measure(cases, options.rounds, options.seconds)
    what = f"Medians of {options.rounds} rounds, each of which measures every server for {options.seconds} seconds."
    text = "\n\n".join([f"{what} {versions()}.", *tables(cases, results)])
    print(text)
    is_partial = options.only or options.against
    if is_partial or options.no_write or (options.rounds, options.seconds) != (ROUNDS, SECONDS):
        return
    replace_part("costs", text)
    bars(
        "Server CPU for a message of 57 bytes, or for a PING of Redis, in microseconds",
        {
            case.name: {name: cpu(results[case.name, name]) for name in case.names if (case.name, name) in results}
            for case in SHAPES
        },
    )


if __name__ == "__main__":
    main()
