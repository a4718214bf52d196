# SPDX-License-Identifier: LGPL-2.1-or-later
"""clang-tidy for tools/check, on what it has not found clean before: tidy.py BUILD

What it finds in a file comes from the compiler's command, from the text of all that is included, from the checks and from
clang-tidy itself: the hash of these is the file's name in a cache."""

import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time

from lab import build
from lab.build import TOP


def cache_dir():
    path = os.path.join(build.cache_dir(), "tidy")
    os.makedirs(path, exist_ok=True)
    for entry in os.scandir(path):
        if entry.stat().st_mtime < time.time() - build.KEEP_DAYS * 86400:
            os.unlink(entry.path)
    return path


@functools.cache
def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def included(directory):
    """Of each object what it was made from, as the last build noted it."""
    text = subprocess.run(["ninja", "-C", directory, "-t", "deps"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for block in text.strip().split("\n\n"):
        head, *names = block.splitlines()
        if head.endswith("(VALID)"):
            found[head.partition(":")[0]] = [os.path.normpath(os.path.join(directory, name.strip())) for name in names]
    return found


def sources(directory):
    """Each source once, with its name in the cache; an empty one if it is not known what it includes."""
    version = subprocess.run(["clang-tidy", "--version"], check=True, stdout=subprocess.PIPE).stdout
    common = hashlib.sha256(version + hash_of(f"{TOP}/.clang-tidy").encode()).hexdigest()
    made_from = included(directory)
    found = {}
    with open(f"{directory}/compile_commands.json", encoding="utf-8") as file:
        commands = json.load(file)
    for command in commands:
        source = os.path.normpath(os.path.join(directory, command["file"]))
        # Not the C file: all that it holds is bpftool's skeleton, whose leaks are not ours to mend.
        if not re.match(f"{re.escape(TOP)}/(src|tools)/.*\\.cpp$", source) or source in found:
            continue
        names = made_from.get(command["output"], [])
        words = command["command"].replace(os.path.relpath(TOP, directory), "TOP")
        text = "\n".join([common, words, *sorted(map(hash_of, names))])
        found[source] = hashlib.sha256(text.encode()).hexdigest() if names else ""
    return found


def check(directory, source):
    return subprocess.run(["clang-tidy", "-quiet", "-p", directory, source], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def main(directory):
    cache, found, bad = cache_dir(), sources(directory), 0
    clean = [key for key in found.values() if key and os.path.exists(f"{cache}/{key}")]
    for key in clean:
        os.utime(f"{cache}/{key}")  # still used
    wanted = [source for source, key in found.items() if key not in clean]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        running = {pool.submit(check, directory, source): source for source in wanted}
        for number, future in enumerate(concurrent.futures.as_completed(running), 1):
            source, done = running[future], future.result()
            if done.returncode != 0:
                bad += 1
                print(done.stdout)
            elif found[source]:
                with open(f"{cache}/{found[source]}", "wb"):
                    pass
            print(f"{number} of {len(wanted)}: {os.path.relpath(source, TOP)}", flush=True)
    print(f"tidy: {len(found)} files, {len(wanted)} of them changed since they were found clean, {bad} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
