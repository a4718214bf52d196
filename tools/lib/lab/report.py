# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of unittest as lines: "ok NAME", "not ok NAME" or "skip NAME: reason".

A machine that is not alone on its host can stand still for seconds, which no bound in a test foresees: so the class of a test that
failed is run once more after all others, in surroundings of its own, and that is said ("again NAME", and why it failed the first
time). Only what fails both times is "not ok".
"""

import contextlib
import time
import unittest

from lab.signals import Signalled


class Reporter(unittest.TestResult):
    """unittest's outcomes as lines. What fails gets the word for it: "again" while there is another attempt."""

    def __init__(self, verbose, failure_word):
        super().__init__()
        self.verbose = verbose
        self.failure_word = failure_word
        self.words = {}  # of each test, its last
        self.begun = 0.0
        self.failed = []  # tests, and classes that could not be set up or torn down

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def _line(self, word, test, text=""):
        name = test.id() if hasattr(test, "id") else str(test)
        self.words[name] = word
        timing = f"  ({time.monotonic() - self.begun:.1f} s)" if self.verbose else ""
        print(f"{word} {name}{timing}{': ' + text if text else ''}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line("ok", test)

    def addError(self, test, err):
        if isinstance(err[1], Signalled):
            raise err[1]
        super().addError(test, err)
        self.failed.append(test.id())
        self._line(self.failure_word, test)
        print("    " + self._exc_info_to_string(err, test).rstrip().replace("\n", "\n    "), flush=True)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        # A test with a failed part is no success, and unittest reports it nowhere else.
        if err is not None:
            self.addError(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("skip", test, reason)


def is_of_class(test_id, failed):
    """Whether the test is of the class of one that failed: "module.Class.test", with " (part=1)" or not, or
    "setUpClass (module.Class)"."""
    its_class = test_id.rpartition(".")[0]
    return failed.startswith(f"{its_class}.") or failed.endswith(f"({its_class})")


def flatten(tests):
    """The tests of a suite of suites, one by one."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def in_directory(directory):
    """What finds all tests of the directory's test_*.py, by module and class."""
    return lambda: unittest.defaultTestLoader.discover(directory, top_level_dir=directory)


def run(find, wanted, verbose, surroundings=contextlib.nullcontext):
    """All tests that are found and whose name pleases; a last line, which counts them; a status for the caller.

    Each attempt runs within surroundings(), a context manager: nothing that the first one left is in the second one's way."""
    def attempt(failure_word, wanted):
        reporter = Reporter(verbose, failure_word)
        with surroundings():
            unittest.TestSuite(test for test in flatten(find()) if wanted(test.id())).run(reporter)
        return reporter

    first = attempt("again", wanted)
    words = first.words
    if first.failed:
        second = attempt("not ok", lambda name: any(is_of_class(name, failed) for failed in first.failed))
        words = {**words, **second.words}
    words = list(words.values())
    if not words:
        print("no test has that in its name", flush=True)
    passed, failed = words.count("ok"), words.count("not ok")
    print(f"{passed} passed, {failed} failed, {words.count('skip')} skipped, {len(first.failed)} tried again", flush=True)
    return 1 if failed or not passed else 0
