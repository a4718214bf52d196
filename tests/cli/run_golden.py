#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs each cases/NAME.golden and compares standard output, standard error and
status to the letter. A case is

    $ virt-power ARGUMENTS           (or virt-power-golden)
    <standard output>
    --- stderr
    <standard error>
    --- status N

Commands run in tests/fixtures/samples. With --update the files are written
anew from what was seen: read the difference before you commit it.
"""

import argparse
import os
import shlex
import subprocess
import sys

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")


def run(command, programs, directory):
    words = shlex.split(command)
    env = dict(os.environ, LC_ALL="C.UTF-8", XDG_CONFIG_HOME="/nonexistent")
    done = subprocess.run([programs[words[0]], *words[1:]], cwd=directory, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    return (f"$ {command}\n{done.stdout.decode()}--- stderr\n{done.stderr.decode()}--- status {done.returncode}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--golden", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    programs = {"virt-power": os.path.abspath(options.tool), "virt-power-golden": os.path.abspath(options.golden)}
    cases = sorted(name for name in os.listdir(CASES) if name.endswith(".golden"))
    print(f"1..{len(cases)}")
    failed = 0
    for number, name in enumerate(cases, 1):
        path = os.path.join(CASES, name)
        with open(path, encoding="utf-8") as file:
            expected = file.read()
        seen = run(expected.splitlines()[0].removeprefix("$ "), programs, options.fixtures)
        good = seen == expected
        if not good and options.update:
            with open(path, "w", encoding="utf-8") as file:
                file.write(seen)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {name.removesuffix('.golden')}")
        if not good:
            for title, text in (("expected", expected), ("seen", seen)):
                print("\n".join(f"# {title}: {line}" for line in text.splitlines()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
