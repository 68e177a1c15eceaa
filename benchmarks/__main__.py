"""
Measures what a message costs ours and its peers, prints the table, and writes it and its plot into ``docs/``.

All servers run side by side, one of them busy at a time, and every round measures each of them once, so that what the
machine does besides falls on all of them. A ratio is the median of the ratios of each round.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from statistics import median

from benchmarks import servers
from benchmarks.load import Figures, Load
from benchmarks.report import bars, replace_part, table

ENGLISH = "The quick brown fox can't jump 32.3 feet, right? The fox."
TEXTS = {
    "French": "Le vif renard brun ne saute pas 32,3 pieds, n'est-ce pas\u202f? Le renard d'été.",
    "Russian": "Быстрая лиса не прыгнет на 32,3 фута, верно? Лиса.",
    "Hindi": "तेज़ भूरी लोमड़ी 32.3 फ़ुट नहीं कूद सकती, है ना? लोमड़ी।",
    "Thai": "สุนัขจิ้งจอกสีน้ำตาลกระโดดไม่ได้ไกล 32.3 ฟุต ใช่ไหม สุนัขจิ้งจอก",
    "Chinese": "敏捷的棕色狐狸跳不了32.3英尺,对吗?狐狸。",
}
SHAPES = [(50, 1), (50, 16), (10, 200)]
ALL = ["wordecho", "uvloop", "asyncio streams", "threads", "node", "Twisted echo"]
SOME = ["wordecho", "uvloop", "node"]

Results = dict[tuple[str, str], list[Figures]]


def cases() -> Iterator[tuple[str, int, int, bytes, list[str]]]:
    """Each case: its name, connections, messages in flight on each, the message, and the servers that it is for."""
    for connections, in_flight in SHAPES:
        yield f"English, {connections}x{in_flight}", connections, in_flight, ENGLISH.encode(), ALL
    for language, text in TEXTS.items():
        yield f"{language}, 50x16", 50, 16, text.encode(), SOME
    yield "English, 64 kB, 10x1", 10, 1, " ".join([ENGLISH] * 1200).encode()[:65536], ALL


def commands() -> dict[str, list[str]]:
    """How to start each server that this machine has."""
    known = {
        "wordecho": servers.ours(),
        "uvloop": servers.peer("uvloop_protocol"),
        "asyncio streams": servers.peer("asyncio_streams"),
        "threads": servers.peer("threads"),
        "Twisted echo": servers.peer("twisted_echo"),
    }
    if node := servers.node():
        known["node"] = node
    else:
        print("There is no node on this machine; it is left out.", file=sys.stderr)
    return known


def measure(rounds: int, seconds: float) -> Results:
    results: Results = {}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                servers.child(*command, announces=servers.LISTENING if name == "wordecho" else r"^(\d+)$")
            )
            for name, command in commands().items()
        }
        for number in range(rounds):
            for case, connections, in_flight, message, names in cases():
                for name in names if number % 2 else reversed(names):
                    if name in running:
                        port, pid = running[name]
                        try:
                            with Load(port, connections, in_flight, message) as load:
                                results.setdefault((case, name), []).append(load.measure(pid, seconds))
                        except OSError as error:
                            raise SystemExit(f"{name}, {case}: {error}") from error
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return results


def rows(results: Results) -> Iterator[list[str]]:
    yield ["case", "server", "CPU µs", "wordecho's part of it", "messages/s", "p50 ms", "p99 ms"]
    for (case, name), figures in results.items():
        own = results[case, "wordecho"]
        yield [
            case,
            name,
            f"{median(figure.cpu for figure in figures) * 1e6:.2f}",
            f"{median(ours.cpu / peer.cpu for ours, peer in zip(own, figures, strict=True)):.2f}",
            f"{median(figure.rate for figure in figures):.0f}",
            f"{median(figure.p50 for figure in figures) * 1e3:.2f}",
            f"{median(figure.p99 for figure in figures) * 1e3:.2f}",
        ]


def versions() -> str:
    packages = ["wordecho", "Twisted", "msgspec", "unicode-segmentation-rs", "icu4py", "uvloop"]
    found = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    if node := servers.node():
        printed = subprocess.run([node[0], "--version"], capture_output=True, text=True, check=True)
        found.append(f"node {printed.stdout.strip()[1:]}")
    return f"{platform.system()} on {os.cpu_count()} cores; {', '.join(found)}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What a message costs the server.")
    parser.add_argument("--rounds", type=int, default=7, help="how often everything is measured [default: 7]")
    parser.add_argument("--seconds", type=float, default=0.7, help="how long each time [default: 0.7]")
    parser.add_argument("--no-write", action="store_true", help="print the table and leave docs/ as it is")
    options = parser.parse_args()
    results = measure(options.rounds, options.seconds)
    what = f"Medians of {options.rounds} rounds of {options.seconds} seconds. {versions()}."
    text = f"{what}\n\n{table(rows(results))}"
    print(text)
    if not options.no_write:
        replace_part("costs", text)
        shapes = [case for case, *_ in cases()][: len(SHAPES)]
        bars(
            "Server CPU for a message of 57 bytes, in microseconds",
            {
                shape: {
                    name: median(f.cpu for f in results[shape, name]) * 1e6 for name in ALL if (shape, name) in results
                }
                for shape in shapes
            },
        )


if __name__ == "__main__":
    main()
