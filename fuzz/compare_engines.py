"""
Compares the two engines on random and hostile lines: each reply has to be the same octet for octet.

From the project's folder::

    python -m fuzz.compare_engines --lines 1000000 [--seed 1]

Where they differ by a known fault of the Python engine's splitter (docs/words.rst), the line is counted as such.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator

from tests.furniture.engines import FAULTS, NATIVE, PYTHON, representatives

TOGETHER = 64  # lines in one call
COMMON = "aAbB1 .,'\"_-\t\r\u0301\u0323\u200d❤éЖק한नया"


def lines(chance: random.Random) -> Iterator[bytes]:
    """Yield lines without end, none of them with a line feed in it."""
    kinds = representatives()
    others = [chr(code) for code in range(0x20, 0x110000) if not 0xD800 <= code < 0xE000]

    def of(characters: list[str] | str, most: int) -> bytes:
        return "".join(chance.choices(characters, k=chance.randint(0, most))).encode()

    ways: list[Callable[[], bytes]] = [
        lambda: chance.randbytes(chance.randint(0, 24)),
        lambda: of(kinds, 12),
        lambda: of(others, 12),
        lambda: of([*kinds, *COMMON * 4], 24),
        lambda: of(COMMON, 60),
        lambda: b" ".join(of(COMMON[:6], 3) for _ in range(chance.randint(0, 200))),
        lambda: b" ".join(b"%x" % chance.getrandbits(20) for _ in range(chance.randint(0, 300))),
        lambda: "e\u0301".encode() + of("\u0301\u0323\u0345\u0f71\u0f72\u3099", 200),
        lambda: of(COMMON, 20) + chance.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x91", b"\x80"]),
    ]
    while True:
        yield chance.choice(ways)().replace(b"\n", b"")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz.compare_engines", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="how many [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers [default: %(default)s]")
    options = parser.parse_args()
    if NATIVE is None:
        sys.exit("The native kernel is not built here.")
    chance = random.Random(options.seed)
    source = lines(chance)
    faults = 0
    for _ in range(0, options.lines, TOGETHER):
        some = [next(source) for _ in range(TOGETHER)]
        ignore_case, counts = chance.random() < 0.25, chance.random() < 0.5
        whole = b"".join(line + chance.choice([b"\n", b"\r\n"]) for line in some)
        if NATIVE.answer_lines(whole, ignore_case, counts) == PYTHON.answer_lines(whole, ignore_case, counts):
            continue
        for line in some:
            native, python = (engine.answer(line, 2**20, ignore_case, counts) for engine in (NATIVE, PYTHON))
            if native != python:
                if not FAULTS.search(line.decode()):
                    sys.exit(f"{line!r}, ignore_case={ignore_case}, counts={counts}:\n{native!r}\n{python!r}")
                faults += 1
    print(
        f"{options.lines} lines: the same replies, but for {faults} by the known faults of the Python engine's splitter"
    )


if __name__ == "__main__":
    main()
