"""What a program gets from ``import wordecho``."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import wordecho
from wordecho import client, server


class FaceTests(SynchronousTestCase):
    def test_every_name_that_it_promises_is_there(self) -> None:
        for name in wordecho.__all__:
            self.assertIsNotNone(getattr(wordecho, name))

    def test_the_two_ends_are_those_of_their_packages(self) -> None:
        self.assertIs(wordecho.connect, client.connect)
        self.assertIs(wordecho.WordEchoFactory, server.WordEchoFactory)

    def test_any_other_name_is_not(self) -> None:
        self.assertFalse(hasattr(wordecho, "disconnect"))

    def test_the_analysis_alone_needs_no_twisted(self) -> None:
        code = "import sys, wordecho; wordecho.analyze('one'); print('twisted' in sys.modules)"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        self.assertEqual(said.stdout, "False\n")
