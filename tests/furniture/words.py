"""Words for the tests of what cuts and counts them: Unicode's own cases, and words that collide in the kernel."""

from __future__ import annotations

from functools import cache
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase

SEED = 12345  # of the hashes of words that collide
_64_BITS = 2**64 - 1


def hash_of(word: bytes, seed: int) -> int:
    """Return the hash of a word of at most eight octets, as ``hash_of()`` in ``wordecho/native/replies.c`` makes it."""
    number = int.from_bytes(word, "little")
    product = ((seed ^ 0x9E3779B97F4A7C15) ^ number) * ((seed ^ 0xD1B54A32D192ED03) + len(word) & _64_BITS)
    return (product ^ product >> 64) & _64_BITS


@cache
def colliding_words() -> list[bytes]:
    """Return two hundred words that begin their search at the same slot of a table of up to 4096 slots."""
    words = (bytes(letters) for letters in product(ascii_lowercase.encode(), repeat=5))
    return list(islice((word for word in words if hash_of(word, SEED) & 0xFFF == 0), 200))


def word_break_tests(file: Path) -> list[list[str]]:
    """Return the cases of one of Unicode's files of word break tests: the pieces that each text has."""
    rules = [line.partition("#")[0] for line in file.read_text("utf-8").splitlines()]
    return [
        [
            "".join(chr(int(code, 16)) for code in piece.split("\N{MULTIPLICATION SIGN}"))
            for piece in rule.split("÷")[1:-1]
        ]
        for rule in rules
        if rule.strip()
    ]
