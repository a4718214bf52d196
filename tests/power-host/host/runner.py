# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of tests/power-host/run, which installs what this needs and then runs it."""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time

POWER_HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(POWER_HOST))
sys.path.insert(0, f"{TOP}/tools/lib")

import configs  # noqa: E402
import prepare  # noqa: E402
from cache import NoKernelError, PrepareError  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402
from machine import LATE, OWN_MOUNTS, Machine  # noqa: E402

TIMEOUT_S = 600
NO_KERNEL = 69


def say(text):
    print(f"power-host: {text}", file=sys.stderr, flush=True)


def boot_once(prepared, config, arguments, results, timeout_s):
    """The command's status, or one that tells why there is none; None if the boot was no good."""
    with tempfile.TemporaryDirectory(prefix="power-host.") as run_dir:
        own_results = results or f"{run_dir}/results"
        os.makedirs(own_results, exist_ok=True)
        with Machine(prepared, config, run_dir, own_results, arguments.command, TOP) as machine:
            try:
                machine.run(timeout_s)
                if machine.mismeasured:
                    return None
                status, text = machine.outcome(arguments.timeout)
            finally:
                if results:
                    with contextlib.suppress(OSError):
                        shutil.copyfile(f"{run_dir}/console.log", f"{results}/console.log")
        if text:
            say(text)
        return status


def boot(prepared, config, arguments, results):
    """As boot_once(), but a boot that is no good is followed by another while there is time."""
    deadline = time.monotonic() + arguments.timeout
    while (left := deadline - time.monotonic()) > 0:
        status = boot_once(prepared, config, arguments, results, left)
        if status is not None:
            return status
        say("the kernel inside mismeasured its timer, since this machine is busy; booting again")
    say(f"no boot within {arguments.timeout:g} s that measured its timer; this machine is too busy")
    return LATE


def boot_all(prepared, arguments):
    outcomes = []
    for config in configs.ALL:
        say(f"== {config.name}: {config.title}")
        begun = time.monotonic()
        results = arguments.results and f"{arguments.results}/{config.name}"
        status = boot(prepared, config, arguments, results)
        outcomes.append(status)
        say(f"{config.name}: {'ok' if status == 0 else f'FAILED, status {status}'} in {time.monotonic() - begun:.0f} s")
    failed = sum(status != 0 for status in outcomes)
    say(f"{len(outcomes) - failed} configurations passed, {failed} failed")
    return 1 if failed else 0


def parse():
    parser = argparse.ArgumentParser(prog="tests/power-host/run")
    parser.add_argument("--config", default=configs.DEFAULT)
    parser.add_argument("--results", type=os.path.abspath)
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S)
    parser.add_argument("--module", type=os.path.abspath, default=prepare.MODULE)
    for flag in ("--all", "--list", "--prepare"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    if not configs.by_name(arguments.config):
        parser.error(f"no configuration '{arguments.config}'; see tests/power-host/run --list")
    if not (arguments.command or arguments.list or arguments.prepare):
        parser.error("needs a command; see tests/power-host/run --help")
    if not 0 < arguments.timeout < 1e6:
        parser.error(f"--timeout needs seconds, more than none, not {arguments.timeout}")
    return arguments


def main():
    arguments = parse()
    if arguments.list:
        for config in configs.ALL:
            print(f"{config.name:14} {config.title}{' (the default)' if config.name == configs.DEFAULT else ''}")
        return 0
    catch_signals()
    try:
        prepared = prepare.prepare(arguments.module)
        for path in (prepared.kernel.modules, TOP):
            if path.startswith(tuple(f"{mount}/" for mount in OWN_MOUNTS)):
                raise PrepareError(f"{path} is not seen inside, where {' '.join(OWN_MOUNTS)} are others; it must stand elsewhere")
        if arguments.prepare:
            return 0
        if arguments.all:
            return boot_all(prepared, arguments)
        return boot(prepared, configs.by_name(arguments.config), arguments, arguments.results)
    except Signalled as signalled:
        say(f"ended by {signalled}; the machine is gone")
        return 128 + signalled.number
    except (PrepareError, OSError) as error:
        say(str(error))
        return NO_KERNEL if isinstance(error, NoKernelError) else 1


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
