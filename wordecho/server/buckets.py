"""Token buckets: how much one address may ask for in a while."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from wordecho.settings import MOST_BUCKETS


class TokenBuckets:
    """
    A bucket for each address, which holds the tokens of one second at most and begins full.

    Who comes from ever new addresses, as who forges them may, has a full bucket each time; what is bounded is what any
    one address is sent, and what is kept here.

    :param rate: tokens a second; 0 for as many as are asked for
    """

    def __init__(self, clock: IReactorTime, rate: int) -> None:
        self._clock = clock
        self._rate = rate
        self._buckets: dict[
            str, tuple[float, float]
        ] = {}  # tokens, and when there were so many; the last asked is last

    def take(self, address: str) -> bool:
        """Take a token of the bucket of ``address``, and return whether there was one."""
        if not self._rate:
            return True
        now = self._clock.seconds()
        tokens, then = self._buckets.pop(address, (self._rate, now))
        tokens = min(self._rate, tokens + (now - then) * self._rate)
        has_one = tokens >= 1
        self._buckets[address] = (tokens - has_one, now)
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return has_one
