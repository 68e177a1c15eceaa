"""The examples in the docstrings: what they show is what comes out."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

from twisted.trial.unittest import SynchronousTestCase

import wordecho


class DocstringTests(SynchronousTestCase):
    def test_every_example_is_true(self) -> None:
        tried = 0
        for module in walk_packages(wordecho.__path__, "wordecho."):
            if not module.name.endswith("__main__"):  # which would run the command
                result = doctest.testmod(import_module(module.name))
                self.assertEqual(result.failed, 0, module.name)
                tried += result.attempted
        self.assertGreaterEqual(tried, 3)
