# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of tests/power-host/run, which installs what this needs and then runs it."""

import argparse
import contextlib
import os
import shutil
import sys
import time

POWER_HOST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(POWER_HOST))
sys.path.insert(0, f"{TOP}/tools/lib")

import configs  # noqa: E402
import prepare  # noqa: E402
from cache import NoKernelError, PrepareError  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402
from machine import LATE, OWN_MOUNTS, Machine, OutputError, is_hidden  # noqa: E402
from run_dir import run_dir  # noqa: E402

TIMEOUT_S = 600
TIMEOUT_MOST_S = 1_000_000
ATTEMPTS = 5  # to boot, and more while there is time
NO_KERNEL = 69
NOT_READ = 141  # as a shell's for a process that SIGPIPE ended


def say(text):
    print(f"power-host: {text}", file=sys.stderr, flush=True)


def boot_once(prepared, config, arguments, results):
    """The command's status, or one that tells why there is none; None if the boot was no good."""
    with run_dir() as directory:
        own_results = results or f"{directory}/results"
        os.makedirs(own_results, exist_ok=True)
        with Machine(prepared, config, directory, own_results, arguments.command, TOP) as machine:
            try:
                machine.run(arguments.timeout)
                if machine.mismeasured:
                    return None
                status, text = machine.outcome(arguments.timeout)
            finally:
                if results:
                    with contextlib.suppress(OSError):
                        shutil.copyfile(f"{directory}/console.log", f"{results}/console.log")
        if text:
            say(text)
        return status


def boot(prepared, config, arguments, results):
    """As boot_once(), but a boot that is no good is followed by another, which has all of the time again."""
    deadline = time.monotonic() + arguments.timeout
    attempts = 0
    while attempts < ATTEMPTS or time.monotonic() < deadline:
        status = boot_once(prepared, config, arguments, results)
        if status is not None:
            return status
        say("the kernel inside mismeasured its timer, since this machine is busy; booting again")
        attempts += 1
    say(f"the machine had not booted in {attempts} attempts and {arguments.timeout:g} s, and the command not begun")
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


def _path(text):
    if not text:
        raise argparse.ArgumentTypeError("needs a directory, not an empty name")
    return os.path.abspath(text)


def parse():
    parser = argparse.ArgumentParser(prog="tests/power-host/run")
    parser.add_argument("--config")
    parser.add_argument("--results", type=_path)
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S)
    parser.add_argument("--module", type=_path, default=prepare.MODULE)
    for flag in ("--all", "--list", "--prepare"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    if arguments.all and arguments.config is not None:
        parser.error("--all and --config contradict each other")
    if arguments.list + arguments.prepare + bool(arguments.command or arguments.all) > 1:
        parser.error("--list, --prepare and a command, with or without --all, are three different things")
    if arguments.config is None:
        arguments.config = configs.DEFAULT
    if not configs.by_name(arguments.config):
        parser.error(f"no configuration '{arguments.config}'; see tests/power-host/run --list")
    if not (arguments.command or arguments.list or arguments.prepare):
        parser.error("needs a command; see tests/power-host/run --help")
    if not 0 < arguments.timeout <= TIMEOUT_MOST_S:
        parser.error(f"--timeout needs seconds, more than 0 and at most {TIMEOUT_MOST_S}, not {arguments.timeout:g}")
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
            if is_hidden(path):
                raise PrepareError(f"{path} is not seen inside, where {' '.join(OWN_MOUNTS)} are others; it must stand elsewhere")
        if arguments.prepare:
            return 0
        if arguments.all:
            return boot_all(prepared, arguments)
        return boot(prepared, configs.by_name(arguments.config), arguments, arguments.results)
    except Signalled as signalled:
        say(f"ended by {signalled}; the machine is gone")
        return 128 + signalled.number
    except BrokenPipeError:
        return NOT_READ
    except (PrepareError, OutputError, OSError) as error:
        say(str(error))
        return NO_KERNEL if isinstance(error, NoKernelError) else 1


if __name__ == "__main__":
    os.umask(0o022)
    try:
        exit_status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        exit_status = NOT_READ
        for descriptor in (1, 2):  # what is left for a reader that is gone would be complained of at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    sys.exit(exit_status)
