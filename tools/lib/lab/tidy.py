# SPDX-License-Identifier: LGPL-2.1-or-later
"""clang-tidy on what it has not found clean before. What it finds in a file comes from the compiler's command, from the
text of all that is included, from the checks and from clang-tidy itself: the hash of these is the file's name in a cache."""

import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import threading
import time

from lab import build
from lab.build import TOP


def _cache_dir():
    path = os.path.join(build.cache_dir(), "tidy")
    os.makedirs(path, exist_ok=True)
    for entry in os.scandir(path):
        if entry.stat().st_mtime < time.time() - build.KEEP_DAYS * 86400:
            os.unlink(entry.path)
    return path


@functools.cache
def _hash_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _included(directory):
    """Of each object what it was made from, as the last build noted it."""
    text = subprocess.run(["ninja", "-C", directory, "-t", "deps"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for block in text.strip().split("\n\n"):
        head, *names = block.splitlines()
        if head.endswith("(VALID)"):
            found[head.partition(":")[0]] = [os.path.normpath(os.path.join(directory, name.strip())) for name in names]
    return found


def _sources(directory):
    """Each source once, with its name in the cache; an empty one if it is not known what it includes."""
    version = subprocess.run(["clang-tidy", "--version"], check=True, stdout=subprocess.PIPE).stdout
    common = hashlib.sha256(version + _hash_of(f"{TOP}/.clang-tidy").encode()).hexdigest()
    included = _included(directory)
    found = {}
    with open(f"{directory}/compile_commands.json", encoding="utf-8") as file:
        commands = json.load(file)
    for command in commands:
        source = os.path.normpath(os.path.join(directory, command["file"]))
        # Not the C file: all that it holds is bpftool's skeleton, whose leaks are not ours to mend.
        if not re.match(f"{re.escape(TOP)}/(src|tools)/.*\\.cpp$", source) or source in found:
            continue
        names = included.get(command["output"], [])
        words = command["command"].replace(os.path.relpath(TOP, directory), "TOP")
        text = "\n".join([common, words, *sorted(map(_hash_of, names))])
        found[source] = hashlib.sha256(text.encode()).hexdigest() if names else ""
    return found


class Tidy:
    """run() prints as it goes on, and says at the end how many were looked at."""

    def __init__(self, directory):
        self.directory, self.cache = directory, _cache_dir()
        self.bad = 0
        self.done = 0
        self.lock = threading.Lock()

    def _check(self, source, key, total):
        done = subprocess.run(["clang-tidy", "-quiet", "-p", self.directory, source], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        with self.lock:
            self.done += 1
            if done.returncode != 0:
                self.bad += 1
                print(done.stdout)
            elif key:
                with open(f"{self.cache}/{key}", "wb"):
                    pass
            print(f"{self.done} of {total}: {os.path.relpath(source, TOP)}", flush=True)

    def run(self):
        sources = _sources(self.directory)
        wanted = {}
        for source, key in sources.items():
            path = f"{self.cache}/{key}"
            if key and os.path.exists(path):
                os.utime(path)  # still used
            else:
                wanted[source] = key
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            for _ in pool.map(lambda item: self._check(*item, len(wanted)), wanted.items()):
                pass
        print(f"tidy: {len(sources)} files, {len(wanted)} of them changed since they were found clean, {self.bad} with findings")
        return 1 if self.bad else 0
