"""What is promised of the native kernel besides that it answers what Python answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.engines import NATIVE, PYTHON, NativeTestCase
from tests.furniture.words import SEED, colliding_words, hash_of
from wordecho.wire import engine
from wordecho.wire.engine import choose

try:
    from wordecho import _native
    from wordecho.wire import native_engine
except ImportError:
    _native = None  # type: ignore[assignment]


class WordTableTests(NativeTestCase, SynchronousTestCase):
    """The table of unique words, with a seed that somebody knows who sends words that collide."""

    def answer(self, message: bytes, *, ignore_case: bool = False) -> dict[str, Any]:
        reply = _native.answer(message, ignore_case, True, SEED)
        assert reply is not None
        says: dict[str, Any] = json.loads(reply)
        return says

    def assert_counted(self, words: list[bytes]) -> None:
        occurrences: dict[str, int] = {}
        for word in words:
            occurrences[word.decode()] = occurrences.get(word.decode(), 0) + 1
        says = self.answer(b" ".join(words))
        self.assertEqual(says["unique_words"], list(occurrences))
        self.assertEqual(says["counts"], list(occurrences.values()))
        self.assertEqual(says["word_count"], len(words))

    def test_these_are_words_that_collide(self) -> None:
        for word in (b"a", b"kernel", b"eight888", *colliding_words()):
            for seed in (SEED, 0, 2**64 - 1):
                self.assertEqual(_native.hash(word, seed), hash_of(word, seed))
        self.assertEqual(len(colliding_words()), 200)
        self.assertEqual({_native.hash(word, SEED) & 0xFFF for word in colliding_words()}, {0})

    def test_words_that_collide_are_counted_in_order_of_appearance(self) -> None:
        words = colliding_words()
        self.assert_counted(words)
        self.assert_counted(words + words[::-1] + words[::3])

    def test_words_that_collide_are_counted_among_others(self) -> None:
        others = [b"%d" % number for number in range(1500)]
        self.assert_counted(others[:700] + colliding_words() + others + colliding_words()[::-1] + others)

    def test_what_comes_after_words_that_collide_is_told_apart_whatever_it_is(self) -> None:
        # Long ones that are alike up to their ends, such as are the beginnings of the next, ones of many octets.
        long_words = [b"x" * 5000 + word for word in colliding_words()[:40]]
        longer_words = [b"y" * length for length in range(1, 200)]
        octets = [first + b"\xc3%c" % mark for first in (b"a", b"bbbb", b"z") for mark in range(0xA0, 0xB6)]
        words = [*colliding_words(), *long_words, *longer_words, *octets]
        self.assert_counted([*words, *reversed(words), *words[::7]])

    def test_words_that_collide_are_compared_by_their_decompositions(self) -> None:
        spelled = [word.decode() for word in colliding_words()]
        text = " ".join(["é", *spelled, "e\u0301", *spelled, "\u212b", "A\u030a"])
        says = self.answer(text.encode())
        self.assertEqual(says["unique_words"], ["é", *spelled, "\u212b"])
        self.assertEqual(says["counts"], [2] * 202)

    def test_case_is_ignored_in_words_that_collide(self) -> None:
        words = colliding_words()
        says = self.answer(b" ".join([*words, *(word.upper() for word in words)]), ignore_case=True)
        self.assertEqual(says["unique_words"], [word.decode() for word in words])
        self.assertEqual(says["counts"], [2] * len(words))

    def test_the_kernel_is_given_the_seed_of_the_process(self) -> None:
        seeds: list[int] = []

        class Kernel:
            def answer(self, message: bytes, ignore_case: bool, counts: bool, seed: int) -> bytes:
                seeds.append(seed)
                return b"reply"

            answer_lines = answer

        self.patch(native_engine, "_native", Kernel())
        native_engine.answer(b"one")
        native_engine.answer_lines(b"one\n")
        self.assertEqual(seeds, [native_engine._SEED] * 2)

    def test_each_process_has_a_seed_of_its_own(self) -> None:
        code = "from wordecho.wire import native_engine; print(native_engine._SEED)"
        seeds = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(3)}
        self.assertEqual(len(seeds), 3)


class ParameterTests(NativeTestCase, SynchronousTestCase):
    def test_only_bytes_are_taken(self) -> None:
        function: Any
        for function in (_native.answer, _native.answer_lines):
            for text in ("one\n", bytearray(b"one\n"), memoryview(b"one\n"), None):
                self.assertRaises(TypeError, function, text, False, False, SEED)
            self.assertRaises(TypeError, function, b"one\n")
            self.assertRaises(OverflowError, function, b"one\n", False, False, 2**64)
            self.assertRaises(TypeError, function, b"one\n", False, False, "seed")
        self.assertRaises(TypeError, _native.pieces, "one")

    def test_pieces_of_what_is_not_utf_8_are_refused(self) -> None:
        self.assertRaises(ValueError, _native.pieces, b"one \xff")

    def test_lines_that_are_left_to_python_come_in_runs_of_neighbours(self) -> None:
        lines = "one\nไทย\n漢\r\ntwo\nです\n".encode() + b"\xff\n"
        one, two = (
            b'{"unique_words":["%b"],"word_count":1,"length":3,"bytes":3}\n' % word for word in (b"one", b"two")
        )
        self.assertEqual(
            _native.answer_lines(lines, False, False, SEED),
            [(one, "ไทย\n漢\r\n".encode()), (two, "です\n".encode() + b"\xff\n"), (b"", b"")],
        )

    def test_text_that_needs_no_dictionary_is_not_left_to_python_in_any_form(self) -> None:
        for text in (
            "caf\u00e9",
            "cafe\u0301 caf\u00e9",
            "फ\u093c ड\u093c",
            "한국어",
            "עִבְרִית",
            "a\u0301\u0323",
            "Tiếng Việt",
        ):
            self.assertIsNotNone(_native.answer(text.encode(), False, False, SEED), text)

    def test_case_is_left_to_python_where_there_is_more_than_ascii(self) -> None:
        self.assertIsNone(_native.answer("É".encode(), True, False, SEED))
        self.assertIsNotNone(_native.answer(b"E", True, False, SEED))


class ThreadTests(NativeTestCase, SynchronousTestCase):
    def test_threads_share_nothing(self) -> None:
        # Texts that are long enough to be answered without the interpreter's lock.
        texts = [f"{number} ".encode() * 20_000 + str(number).encode() for number in range(8)]
        found: dict[int, list[bytes]] = {}

        def answer_often(number: int) -> None:
            assert NATIVE is not None
            found[number] = [NATIVE.answer(texts[number], 2**20, False, True) for _ in range(5)]

        threads = [threading.Thread(target=answer_often, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(
            found, {number: [PYTHON.answer(text, 2**20, False, True)] * 5 for number, text in enumerate(texts)}
        )

    def test_an_interpreter_within_this_one_has_a_kernel_too(self) -> None:
        code = f"""
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("wordecho._native", {_native.__file__!r})
kernel = module_from_spec(spec)
spec.loader.exec_module(kernel)
assert kernel.answer(b"one two one", False, True, 1).startswith(b'{{"unique_words":["one","two"]')
"""
        main = f"""
try:
    import _interpreters as interpreters
    create = lambda: interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    create = lambda: interpreters.create(isolated=False)
for interpreter in [create(), create()]:
    failure = interpreters.run_string(interpreter, {code!r})
    assert failure is None, failure
    interpreters.destroy(interpreter)
"""
        subprocess.run([sys.executable, "-c", main], check=True, timeout=60)


class ChoiceTests(SynchronousTestCase):
    def test_python_answers_where_it_is_wanted(self) -> None:
        self.assertEqual(choose("0"), (PYTHON, "as WORDECHO_NATIVE=0"))

    def test_python_answers_where_there_is_no_kernel(self) -> None:
        self.patch(engine, "find_spec", lambda name: None)
        self.assertEqual(choose(None), (PYTHON, "the native kernel is not built"))

    def test_a_kernel_that_cannot_be_loaded_is_not_passed_over_in_silence(self) -> None:
        self.patch(engine, "find_spec", lambda name: "one")
        self.patch(sys, "modules", {**sys.modules, "wordecho.wire.native_engine": None})
        chosen, why = choose(None)
        self.assertIs(chosen, PYTHON)
        self.assertTrue(why.startswith("the native kernel cannot be loaded: "), why)
        self.patch(engine, "ENGINE", chosen)
        self.patch(engine, "_WHY_NOT_NATIVE", why)
        self.assertIn(f"Python engine ({why}), Unicode", engine.versions())

    def test_the_environment_chooses(self) -> None:
        code = "import wordecho; print(wordecho.ENGINE, wordecho.UNICODE_VERSION, wordecho.ICU_VERSION)"
        for value, name in list(self.values()):
            printed = subprocess.check_output([sys.executable, "-c", code], env={"WORDECHO_NATIVE": value}, text=True)
            self.assertRegex(printed, rf"\A{name} 17\.0\.0 [0-9]+\.[0-9.]+\n\Z")

    def values(self) -> Iterator[tuple[str, str]]:
        yield "0", "Python"
        if NATIVE is not None:
            yield "", "native"
