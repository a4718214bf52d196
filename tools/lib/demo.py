# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of tools/demo, which installs what this needs and then runs it."""

import argparse
import os
import re
import signal
import subprocess
import sys

from lab import build, guest, kernel
from lab.daemon import Daemon, Lab, LabError, SupervisorError, client_env, kvm_works
from lab.signals import Signalled, catch_signals, default_signals
from lab.tls import Tls

# Only where nothing counts energy.
MODELLED = {"sources": {"modelled": "true"}, "modelled": {"idle_watts": 10, "busy_cpu_watts": 5}}


def say(text):
    print(f"demo: {text}", file=sys.stderr, flush=True)


def forget_stdout():
    """What Python still has for it would fail once more at its end, which has a status of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def start_guests(lab, daemon):
    kvm = kvm_works(lab, daemon, guest.Guest(lab.name("kvm"), guest.HALT))
    if not kvm:
        say("/dev/kvm does not run a guest here: guests are emulated (TCG)")
    daemon.create(guest.Guest(lab.name("spins"), guest.SPIN_ALL, vcpus=2, kvm=kvm))
    guest.wait_until_quiet(daemon.create(guest.Guest(lab.name("halts"), guest.HALT, kvm=kvm)))


def energy_notice(daemon):
    """What has to be known about where the watts are from, or None."""
    stats = daemon.virsh("domstats", check=False).stdout
    sources = set(re.findall(r"energy\.zone\.\d+\.source=(\S+)", stats))
    if "modelled" in sources:
        model = MODELLED["modelled"]
        return ("no moving energy counter on this machine: the watts are MODELLED, "
                f"{model['idle_watts']} W for each package and {model['busy_cpu_watts']} W for each busy CPU")
    return None


def run_client(arguments, program, uri):
    def prepare():
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
        default_signals()

    command = [program, "-c", uri, "--delay", "2"]
    if arguments.count:
        command += ["--count", str(arguments.count)]
    if arguments.json:
        command += ["--json"]
    client = subprocess.Popen(command, env=client_env(), preexec_fn=prepare)
    try:
        return client.wait()
    finally:
        if client.poll() is None:
            client.terminate()
            try:
                client.wait(5)
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()


def demo(lab, arguments):
    lab.prefix = build.build_libvirt(lab.supervisor, lab.dir)
    built = build.build_project(lab.supervisor, lab.dir, "plain", build.PLAIN)
    tls = Tls(f"{lab.dir}/pki") if arguments.tls else None
    daemon = Daemon(lab, plugin_dir=f"{built}/src/plugin", tls=tls)
    daemon.write_power_conf(MODELLED)
    daemon.start()
    start_guests(lab, daemon)
    uri = tls.uri if tls else daemon.uri
    program = f"{built}/tools/virt-power/virt-power"
    notice = energy_notice(daemon)
    if notice:
        stream = sys.stderr if arguments.json else sys.stdout
        try:
            print(notice, file=stream, flush=True)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            forget_stdout()
            raise LabError(f"standard output cannot be written: {error.strerror}") from error
    status, interrupted = 0, None
    try:
        status = run_client(arguments, program, uri)
    except Signalled as signalled:
        if not arguments.keep or signalled.number != signal.SIGINT:
            raise
        interrupted = signalled
    if arguments.keep and (status == 0 or interrupted):
        supervisor = lab.detach()
        say(f"daemon and guests run on; try:  {program} -c '{uri}'")
        say(f"                          or:  {lab.prefix}/bin/virsh -c '{uri}' domstats --energy")
        say(f"end them:  kill {supervisor}")
    return 128 - status if status < 0 else status


def main():
    parser = argparse.ArgumentParser(prog="tools/demo")
    parser.add_argument("--count", type=int, required=True)
    for flag in ("--json", "--tls", "--keep"):
        parser.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    catch_signals()
    try:
        with Lab("") as lab:
            return demo(lab, arguments)
    except Signalled as signalled:
        say(f"ended by {signalled}; what was started is gone")
        return 128 + signalled.number
    except BrokenPipeError:
        forget_stdout()
        return 0
    except (LabError, SupervisorError, OSError, subprocess.SubprocessError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
