#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-power record and replay, compared byte for byte. Prints TAP.

Of each golden case: record gives what the case says, and so does a replay with the same options. Of each set of hosts:
one recording, replayed by every model and in every format by turns, gives what a live run with these options gives."""

import argparse
import concurrent.futures
import os
import shlex
import subprocess
import sys
import tempfile

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
TAKES_VALUE = {"-c", "--connect", "-d", "--delay", "--timeout"}  # options of the source, which replay has not
ENV = dict(os.environ, LC_ALL="C.UTF-8", XDG_CONFIG_HOME="/nonexistent")
# The hosts, how many ticks, and whether some output goes to standard error.
HOSTS = [(["worked.json"], 3), (["cycles.json"], 2), (["denied.json"], 2), (["hostile.json"], 1), (["modelled.json"], 2),
         (["restart.json"], 5), (["stock.json"], 2), (["empty.json"], 3), (["steady.json"], 8), (["rich.json"], 8),
         (["calibrated.json"], 3), (["limited.json"], 3), (["weighed.json"], 5),
         (["worked.json", "cycles.json"], 3), (["cycles.json", "unreachable.json", "restart.json"], 5),
         (["rich.json", "worked.json"], 8), (["./rich.json", "rich.json"], 8)]
FORMATS = [[], ["--json"], ["--csv"]]
OUTPUTS = [[], ["--model", "vm-share"], ["--static-watts", "7.5"], ["--static", "even", "--static-watts", "7.123456"],
           ["--static", "proportional", "--static-watts", "package-0=3.25,nothing=1", "--model", "vm-share", "--sort", "name"],
           ["--static", "even"], ["--static", "allocation"], ["--static-watts", "none"], ["--sort", "energy", "alpha", "nobody"], ["--sort", "cpu", "-n", "1"]]


class Bench:
    def __init__(self, golden, fixtures, directory):
        self.golden, self.fixtures, self.directory = golden, fixtures, directory

    def run(self, arguments):
        done = subprocess.run([self.golden, *arguments], cwd=self.fixtures, env=ENV, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100, check=False)
        return done.stdout, done.stderr, done.returncode

    def recording(self, number):
        return f"{self.directory}/{number}"


def output_options(words):
    """Without those of the source."""
    kept, skip = [], False
    for word in words:
        if skip or word in TAKES_VALUE:
            skip = not skip
        elif word not in ("-r", "--readonly"):
            kept.append(word)
    return kept


def difference(what, expected, seen):
    """Of each part that differs, the place where it begins to."""
    lines = []
    for left, right in zip(expected, seen):
        if left == right:
            continue
        at = len(os.path.commonprefix([left, right])) if isinstance(left, bytes) else 0
        begin = max(0, at - 60)
        cut = (lambda part: part[begin:at + 100]) if isinstance(left, bytes) else (lambda part: part)  # pylint: disable=cell-var-from-loop
        lines += [f"{what}: expected {cut(left)!r}", f"{what}: seen     {cut(right)!r}"]
    return lines


def check_case(bench, name):
    """record shows what plain virt-power does, and replay the same."""
    with open(os.path.join(CASES, name), "rb") as file:
        command, _, rest = file.read().partition(b"\n")
    words = shlex.split(command.decode().removeprefix("$ virt-power-golden "))
    out, _, rest = rest.partition(b"--- stderr\n")
    err, _, status = rest.rpartition(b"--- status ")
    expected = (out, err, int(status))
    path = bench.recording(name)
    problems = difference("record", expected, bench.run(["record", path, *words]))
    if expected[2] != 0:  # a run that did not begin leaves nothing
        return problems + difference("recording", (False,), (os.path.exists(path),))
    return problems + difference("replay", expected, bench.run(["replay", path, *output_options(words)]))


def check_hosts(bench, number, hosts, ticks):
    several = len(hosts) > 1
    # Several hosts are given time to answer within their tick, on a busy machine too.
    source = [word for host in hosts for word in ("-c", host)] + ["-d", "0.7" if several else "0.1"]
    path = bench.recording(number)
    recorded = bench.run(["record", path, "--json", "-n", str(ticks), *source])
    problems = difference("replay of what was recorded", recorded, bench.run(["replay", path, "--json"]))
    if len({os.path.normpath(host) for host in hosts}) < len(hosts):
        return problems  # which of the two is shown is for each run to find

    def compare(options):
        count = [] if "-n" in options else ["-n", str(ticks)]
        live, replayed = bench.run([*source, *count, *options]), bench.run(["replay", path, *options])
        if several:  # which host's line came first may differ between two live runs
            live, replayed = [(out, sorted(err.splitlines()), status) for out, err, status in (live, replayed)]
        return difference(shlex.join(options), live, replayed)

    # Each output meets each format with a third of the hosts: programs under sanitizers are slow to start.
    variants = [[*output, *FORMATS[(index + number) % len(FORMATS)]] for index, output in enumerate(OUTPUTS)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for found in pool.map(compare, variants):
            problems += found
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", required=True, type=os.path.abspath)
    parser.add_argument("--fixtures", required=True)
    options = parser.parse_args()
    cases = []
    for name in sorted(os.listdir(CASES)):
        with open(os.path.join(CASES, name), encoding="utf-8") as file:
            if file.readline().startswith("$ virt-power-golden ") and not name.startswith(("calibrate-", "record-", "replay-", "usage-")):
                cases.append(name)
    print(f"1..{len(cases) + len(HOSTS)}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(options.golden, options.fixtures, directory)
        checks = [(name, lambda name=name: check_case(bench, name)) for name in cases]
        checks += [(" ".join(hosts), lambda number=number, of=(hosts, ticks): check_hosts(bench, number, *of))
                   for number, (hosts, ticks) in enumerate(HOSTS)]
        # Most of the time is spent asleep, between ticks.
        pool = concurrent.futures.ThreadPoolExecutor(5)
        running = [(name, pool.submit(check)) for name, check in checks]
        for number, (name, future) in enumerate(running, 1):
            problems = future.result()
            failed += bool(problems)
            print(f"{'not ok' if problems else 'ok'} {number} - {name}", flush=True)
            for line in problems:
                print(f"# {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
