"""
The contract's tests of tests/server/test_connection.py, once more over every other kind of stream, and by each engine.

What TLS does not have, the half-close, and what of back-pressure is its own, is in tests/sockets/test_tls.py.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.engines import by_each_engine
from tests.furniture.kinds import PROXY1, PROXY2, TCP, TLS, UNIX
from tests.server import test_connection as test_server
from tests.server.test_connection import ServerTestCase

CASES = [case for case in vars(test_server).values() if isinstance(case, type) and issubclass(case, ServerTestCase)]
CASES.remove(ServerTestCase)
NOT_OVER_TLS = {"HalfCloseTests", "CuttingTests", "BackPressureTests"}

for kind in (TCP, UNIX, PROXY1, PROXY2, TLS):
    for case in CASES:
        if kind is not TLS or case.__name__ not in NOT_OVER_TLS:
            name = f"{case.__name__}Over{kind.__name__}"
            globals()[name] = type(name, (case,), {"kind": kind, "__module__": __name__})

for case in CASES:
    globals().update(by_each_engine(__name__, case, kind=TCP))

# A class in the names of a module is a case of its own to those who collect tests.
del case


class KindTests(SynchronousTestCase):
    def test_each_kind_and_each_engine_has_each_case(self) -> None:
        names = {name for name in globals() if "TestsOver" in name or "TestsBy" in name}
        self.assertIn("HalfCloseTestsOverPROXY2", names)
        self.assertIn("QuietPeriodTestsOverTLS", names)
        self.assertIn("MessageTestsByPython", names)
        self.assertEqual(len(names), 7 * len(CASES) - len(NOT_OVER_TLS))
