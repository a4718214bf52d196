#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How virt-power record and replay behave: files that exist, disks that are full, kills, foreign files. Prints TAP."""

import fcntl
import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time

import run_behaviour
from run_behaviour import (ENV, PROMPT, equal, finish, golden, on_terminal, read_until, start, test, wait_for_line,
                           wait_status)

LIVE = ["-c", "steady.json", "-d", "0.1"]
CUT = "cut off (the end mark is missing: the recording was not ended, or goes on)"
run_behaviour.TESTS.clear()


def in_directory(function):
    """Gives the test the path of a file that is not there yet."""
    def run():
        with tempfile.TemporaryDirectory() as directory:
            function(f"{directory}/recording")
    run.__name__ = function.__name__
    return test(run)


def record(path, *arguments, **keywords):
    return golden("record", path, *arguments, **keywords)


def replay(path, *arguments, **keywords):
    return finish(golden("replay", path, *arguments, **keywords))


def wait_until_handled(process, number):
    """Until the program has a handler for the signal; before, it would just die of it."""
    def handled():
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
            caught = next(line.split()[1] for line in file if line.startswith("SigCgt:"))
        return int(caught, 16) >> (number - 1) & 1

    deadline = time.monotonic() + PROMPT
    while not handled():
        assert time.monotonic() < deadline, f"no handler for signal {number}"
        time.sleep(0.01)


def make(path, *arguments):
    """A recording of three ticks; what the live run showed."""
    status, out, err = finish(record(path, "-c", "worked.json", "-d", "0.1", "-n", "3", *arguments))
    equal((status, err), (0, ""))
    return out


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


LOAD_HOST = "qemu+ssh://kvm1/system"


def make_loaded(path, hosts=(LOAD_HOST,), ticks=120, static_w=20.0, busy=(0, 0.2, 0.9, 0.5, 0.7), known_uw=None,
                end=True, step_s=5, wobble_w=0.05, name="kvm1"):
    """A recording of hosts that draw static_w, and 5 W for each of 8 CPUs that is busy; memory draws 3 W and up to 1 W."""
    lines = [{"format": "virt-power-recording", "version": 1, "program": "test", "delay_ms": step_s * 1000,
              "hosts": list(hosts)}]
    energy, dram, cpu_ns = 10**9, 2000, 10**9
    for tick in range(ticks):
        for host in range(len(hosts)):
            line = {"host": host, "time": [1700000000000000000 + tick * step_s * 10**9, tick * step_s * 10**9],
                    "reading": [1, (100 + tick * step_s) * 10**9, "bpf", None, None, 1],
                    "package_use": [[cpu_ns, None, 0, None]], "zone_energy": [[energy, 0], [dram, 0]]}
            if tick == 0:
                line["about"] = {"host": name if host == 0 else f"kvm{host + 1}", "uri": hosts[host], "cpus": 8, "status": "ok",
                                 "reason": ""}
                line["zones"] = [["package-0", "package", 0, "powercap", True, known_uw],
                                 ["package-0/dram", "dram", 0, "powercap", True, None]]
                line["packages"] = [0]
            lines.append(line)
        if tick == 0:
            lines.append({"mark": "started"})
        lines.append({"mark": "tick", "number": tick + 1})
        now = busy[tick // 2 % len(busy)]
        cpu_ns += int(8 * now * step_s * 1e9)
        energy += int((static_w + 40 * now + wobble_w * (tick % 3 - 1)) * step_s * 1e6)
        dram += int((3 + now) * step_s * 1e6)
    if end:
        lines.append({"mark": "end", "number": ticks})
    write(path, "".join(json.dumps(line) + "\n" for line in lines).encode())


def from_recording(path, *arguments, **keywords):
    return finish(golden("calibrate", "--from", path, *arguments, **keywords))


@in_directory
def static_power_comes_out_of_a_recording(path):
    make_loaded(path, known_uw=21000000)
    status, out, err = from_recording(path, "--dry-run", "--json")
    equal(status, 0)
    equal(err, "virt-power: zone package-0: the weight of shared cores cannot be told: no core of the host has two hyperthreads, or "
               "it does not count their use\nvirt-power: zone package-0: the weight of frequency cannot be told: the host does not count cycles and "
               "their frequency\n")
    shown = json.loads(out)
    package, dram = shown["zones"]
    equal((shown["host"], package["name"], package["method"], package["windows"], package["dropped_windows"]),
          ("kvm1", "package-0", "recording", 59, 0))
    assert abs(package["static_uw"] - 20e6) < 3 * package["error_uw"] + 1000, package
    assert 0 < package["error_uw"] < 50000 and package["from_uw"] < package["static_uw"] < package["to_uw"], package
    equal(package["before_uw"], 21000000)
    assert abs(dram["static_uw"] - 3e6) < 10000, dram
    assert "weights" not in shown


@in_directory
def a_calibration_from_a_recording_is_kept_and_used(path):
    with tempfile.TemporaryDirectory() as home:
        make_loaded(path)
        env = dict(ENV, XDG_CONFIG_HOME=home)
        status, out, _ = from_recording(path, env=env)
        file = f"{home}/virt-power/calibration/kvm1.conf"
        equal((status, out.splitlines()[-1]), (0, f"written to {file}"))
        text = read(file).decode()
        assert "method=recording\nerror_uw=" in text and "machine_id" not in text, text
        status, out, err = finish(golden("-c", "worked.json", "-d", "0.1", "-n", "1", env=env))
        equal((status, err), (0, ""))
        assert "W+IDLE" not in out, out
        # What is there is shown beside what comes.
        shown = json.loads(from_recording(path, "--json", env=env)[1])
        equal(shown["zones"][0]["before_uw"], shown["zones"][0]["static_uw"])


@in_directory
def weights_of_an_older_file_stay_and_that_is_said(path):
    make_loaded(path)
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/host-power-calibration.conf"
        group = ("\n[weights]\nshared_permille=560\nshared_deviation_permille=12\ncycle_permille=1000\nsquare_permille=0\n"
                 "method=load\nsource=powercap\n")
        write(file, f"[calibration]\nversion=1\nhost=kvm1\n{group}".encode())
        for arguments in (("--from", path), ("-c", "idle.json", "--seconds", "2")):
            status, out, err = finish(golden("calibrate", *arguments, "--output", file))
            equal(status, 0)
            assert f"the weight of shared cores stays as {file} has it: it was not measured now\n" in err, err
            assert "on a shared core a cycle weighs 0.560 of one alone, +- 0.024 (95 %)\n" in out, out
            assert read(file).decode().endswith(group[1:]), read(file)
        assert f"no daemon believes {file}: this machine is not kvm1; run this command there" in from_recording(
            path, "--output", file)[2]
        # Another host's stay nowhere.
        write(file, f"[calibration]\nversion=1\nhost=kvm2\n{group}".encode())
        equal(from_recording(path, "--output", file)[0], 0)
        assert b"[weights]" not in read(file)


@in_directory
def a_recording_of_this_machine_has_its_identity(path):
    make_loaded(path, name=os.uname().nodename)
    with tempfile.TemporaryDirectory() as directory:
        equal(from_recording(path, "--output", f"{directory}/x")[0], 0)
        identity = any(os.path.exists(name) for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"))
        equal(b"machine_id=" in read(f"{directory}/x"), identity)


@in_directory
def a_recording_of_several_hosts_needs_a_choice(path):
    make_loaded(path, hosts=("qemu:///system", "qemu+ssh://kvm2/system"))
    status, out, err = from_recording(path, "--dry-run")
    equal((status, out, err), (1, "", f"virt-power: {path} is of 2 hosts: choose one with -c: qemu:///system, "
                                      "qemu+ssh://kvm2/system\n"))
    status, out, err = from_recording(path, "--dry-run", "-c", "qemu+ssh://kvm3/system")
    equal((status, out), (1, ""))
    assert err == f"virt-power: {path} is not of qemu+ssh://kvm3/system; its hosts: qemu:///system, qemu+ssh://kvm2/system\n", err
    status, out, _ = from_recording(path, "--dry-run", "-c", "qemu+ssh://kvm2/system")
    equal((status, out.split()[0]), (0, "kvm2"))


@in_directory
def a_recording_that_does_not_tell_is_refused_with_one_line(path):
    for how, text in (({"busy": (0.5, 0.5, 0.52)}, "zone package-0 of kvm1: its load varied by 4 % of the highest, and it takes 20 %"),
                      ({"ticks": 10}, "only 4 windows could be measured, and 12 are needed"),
                      ({"static_w": -3.0, "busy": (0.2, 0.9, 0.5)}, "its static power comes out as -3.0"),
                      ({"wobble_w": 25}, "% is allowed (--max-error); to do: record for longer")):
        make_loaded(path, **how)
        status, out, err = from_recording(path)
        equal((status, out, err.count("\n")), (1, "", 1))
        assert text in err and err.endswith("; nothing was written\n"), err
    equal(from_recording(path, "--dry-run", "--max-error", "100")[0], 0)


@in_directory
def a_recording_that_goes_on_is_taken_as_far_as_it_goes(path):
    make_loaded(path, end=False)
    status, out, err = from_recording(path, "--dry-run")
    equal(status, 0)
    assert f"{CUT}; what it holds is taken\n" in err and "package-0 " in out, err
    status, out, err = finish(golden("calibrate", "--from", "/nonexistent/x", "--dry-run"))
    equal((status, out, err.count("\n")), (1, "", 1))


@in_directory
def quiet_shows_no_interval_but_says_what_happens(path):
    status, out, err = finish(record(path, "-q", "-c", "restart.json", "-d", "0.1", "-n", "5"))
    equal((status, out, len(err.splitlines())), (0, "", 3))
    live = finish(golden("-c", "restart.json", "-d", "0.1", "-n", "5", "--csv"))
    equal(replay(path, "--csv"), live)


@test
def a_recording_goes_through_a_pipe():
    writer = record("-", "-q", "-c", "worked.json", "-d", "0.1", "-n", "3", text=False)
    reader = golden("replay", "-", "--json", stdin=writer.stdout)
    writer.stdout.close()
    seen = finish(reader)
    equal((writer.wait(PROMPT), writer.stderr.read()), (0, b""))
    writer.stderr.close()
    equal(seen, finish(golden("-c", "worked.json", "-d", "0.1", "-n", "3", "--json")))


@test
def a_reader_of_the_recording_that_leaves_is_an_error():
    for delay in ("0.1", "86400"):  # while it writes, and while it sleeps
        process = record("-", "-q", "-c", "steady.json", "-d", delay)
        wait_for_line(process)
        process.stdout.close()
        equal(process.wait(PROMPT), 1)
        message = process.stderr.read()
        process.stderr.close()
        assert message.startswith("virt-power: standard output: cannot write: Broken pipe; the recording ends after line "), message


@test
def a_signal_ends_it_while_nobody_reads_the_recording():
    process = record("-", "-q", *LIVE)
    fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    time.sleep(2.0)
    process.send_signal(signal.SIGTERM)
    equal(process.wait(PROMPT), 0)
    finish(process)


@in_directory
def a_file_that_exists_is_kept_unless_forced(path):
    write(path, b"mine")
    status, out, err = finish(record(path, "-c", "worked.json", "-d", "0.1", "-n", "3"))
    equal((status, out, err), (1, "", f"virt-power: {path}: the file exists, and would be replaced (see --force)\n"))
    equal(read(path), b"mine")
    out = make(path, "--force")
    equal(replay(path), (0, out, ""))


@test
def what_is_no_regular_file_is_not_replaced():
    for force in ([], ["--force"]):
        status, out, err = finish(record("/dev/null", *force, "-c", "worked.json"))
        equal((status, out, err), (1, "", "virt-power: /dev/null: exists and is no regular file; a recording needs a file of its own\n"))


@in_directory
def a_recording_is_its_owners_alone(path):
    make(path)
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)


@in_directory
def a_run_that_reaches_no_host_leaves_no_recording(path):
    for source in ("unreachable.json", "unknown-uri.json"):  # one that is tried again, one that is not
        status, _, _ = finish(record(path, "-c", source, "-n", "1"))
        equal((status, os.path.exists(path)), (1, False))
        write(path, b"mine")
        equal(finish(record(path, "--force", "-c", source, "-n", "1"))[0], 1)
        equal(read(path), b"mine")
        os.unlink(path)


@in_directory
def signals_end_a_recording_with_its_end_mark(path):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = record(path, "--force", "--json", *LIVE)
        first = wait_for_line(process)
        time.sleep(random.random() * 0.3)
        process.send_signal(number)
        status, rest, err = finish(process)
        equal((status, err), (0, ""))
        equal(replay(path, "--json"), (0, first + rest, ""))


@in_directory
def a_kill_at_any_moment_leaves_what_was_shown(path):
    for _ in range(10):
        process = record(path, "--force", "--json", "-c", "steady.json", "-c", "cycles.json", "-d", "0.1")
        first = wait_for_line(process)
        time.sleep(random.random() * 0.5)
        process.kill()
        process.wait()
        shown = first + process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        shown = shown[:shown.rindex("\n") + 1]
        status, out, err = replay(path, "--json")
        assert out.startswith(shown), (out, shown)
        equal((status, err), (1, f"virt-power: {path}: line {read(path).count(10) + 1}: {CUT}\n"))


@in_directory
def a_last_line_that_is_not_whole_is_named_after_all_others(path):
    whole = make(path, "--json")
    data = read(path)
    lines = data.splitlines(keepends=True)
    for cut in (1, 5, len(lines[-3]) - 2):  # within the last sample
        write(path, b"".join(lines[:-3]) + lines[-3][:cut])
        status, out, err = replay(path, "--json")
        equal(out, "".join(whole.splitlines(keepends=True)[:2]))
        equal((status, err), (1, f"virt-power: {path}: line {len(lines) - 2}: cut off (the last line is not whole)\n"))


@in_directory
def a_recording_that_goes_on_can_be_replayed(path):
    process = record(path, "--json", *LIVE)
    wait_for_line(process)
    status, out, err = replay(path, "--json")
    process.kill()
    finish(process)
    equal(status, 1)
    assert out and err.endswith(f"{CUT}\n"), err


@in_directory
def a_limit_to_files_ends_it_with_whole_lines(path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    process = record(path, "--json", *LIVE, preexec_fn=limit)
    status, shown, err = finish(process)
    equal(status, 1)
    lines = read(path).count(10)
    assert err.startswith(f"virt-power: {path}: cannot write: File too large; the recording ends after line {lines}, tick "), err
    equal(err.count("\n"), 1)
    assert read(path).endswith(b"}\n")
    status, out, err = replay(path, "--json")
    assert out == shown and len(shown.splitlines()) > 3, (out, shown)
    equal((status, err), (1, f"virt-power: {path}: line {lines + 1}: {CUT}\n"))


@test
def a_full_disk_ends_it_with_whole_lines():
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as directory:
        script = ('mount -t tmpfs -o size=16k none "$1" && "$2" record "$1/r" -q -c steady.json -d 0.1 2>"$3/err"; echo $? >"$3/status"; '
                  'cp "$1/r" "$3/r"; umount "$1"')
        os.mkdir(f"{directory}/mount")
        apart = ["unshare", "--mount"]
        if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
            apart += ["--propagation", "unchanged"]  # in a chroot / is no mount whose propagation could be changed
        done = start([*apart, "sh", "-c", script, "sh", f"{directory}/mount", run_behaviour.OPTIONS.golden, directory])
        equal(finish(done, 60)[0], 0)
        equal(read(f"{directory}/status"), b"1\n")
        message = read(f"{directory}/err").decode().splitlines()[-1]  # before it, a host may have answered late
        lines = read(f"{directory}/r").count(10)
        assert message.startswith(f"virt-power: {directory}/mount/r: cannot write: No space left on device; the recording "
                                  f"ends after line {lines}, tick "), message
        status, out, err = replay(f"{directory}/r", "--json")
        equal((status, err.splitlines()[-1]), (1, f"virt-power: {directory}/r: line {lines + 1}: {CUT}"))
        assert len(out.splitlines()) > 10, out


@test
def a_full_device_is_named():
    with open("/dev/full", "w", encoding="ascii") as full:
        status, _, err = finish(record("-", "-q", *LIVE, stdout=full))
    equal((status, err), (1, "virt-power: standard output: cannot write: No space left on device; the recording ends after "
                             "line 0, tick 0\n"))


@in_directory
def a_directory_that_is_not_there_is_named_before_a_host_is_asked(path):
    status, out, err = finish(record(f"{path}/x", "-c", "hang-first.json"))
    equal((status, out, err), (1, "", f"virt-power: {path}/x: cannot create: No such file or directory\n"))


@in_directory
def foreign_files_are_named_and_nothing_is_shown(path):
    no_recording = "; this is no recording of virt-power"
    cases = [(b"", "line 1: the file is empty"),
             (b"\x89PNG\r\n\x1a\n\x00\x00", f"line 1: no JSON object{no_recording}"),
             (b"start,end,duration_ns\n1,2,3\n", f"line 1: no JSON object{no_recording}"),
             (b'{"host":"kvm1","uri":"qemu:///system"}\n', f"line 1: 'host': a whole number of its kind should be here{no_recording}"),
             (b"\x00" * 70000, f"line 1: binary data; no JSON object{no_recording}"),
             (b'{"format":"virt-power-recording","version":7}\n',
              "line 1: version 7 of the format; this virt-power reads up to version 1")]
    for data, reason in cases:
        write(path, data)
        equal(replay(path, "--csv"), (1, "", f"virt-power: {path}: {reason}\n"))
    directory = os.path.dirname(path)
    equal(replay(directory), (1, "", f"virt-power: {directory}: cannot read: Is a directory\n"))
    equal(replay(f"{path}.none"), (1, "", f"virt-power: {path}.none: cannot open: No such file or directory\n"))


@in_directory
def a_line_without_an_end_takes_no_memory(path):
    make(path)
    for begin in (b"", read(path)):
        write(path, begin)
        os.truncate(path, 1 << 30)
        process = golden("replay", path, "--json")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        err = finish(process)[2]
        equal(process.returncode, 1)
        line, tail = begin.count(10) + 1, "" if begin else "; this is no recording of virt-power"
        assert err.endswith(f"line {line}: longer than 16 MiB{tail}\n"), err
        assert usage.ru_maxrss < 300 << 10, usage.ru_maxrss  # a sanitizer's own memory is in it


@in_directory
def a_recording_behind_another_is_not_passed_over(path):
    whole = make(path, "--json")
    data = read(path)
    for more in (data, b"rubbish", b"\n"):
        write(path, data + more)
        equal(replay(path, "--json"), (1, whole, f"virt-power: {path}: line {data.count(10) + 1}: it stands after the end mark; a file "
                                                 "holds one recording, and what follows is not shown\n"))


@in_directory
def a_file_that_is_removed_or_replaced_ends_it(path):
    for replaced in (False, True):
        process = record(path, "--json", *LIVE)
        wait_for_line(process)
        os.unlink(path)
        if replaced:
            write(path, b"mine")
        status, _, err = finish(process)
        equal(status, 1)
        message = f"virt-power: {path}: the file was removed or replaced by another program; the recording ends after line "
        assert err.startswith(message) and err.count("\n") == 1, err
        equal(os.path.exists(path), replaced)
    equal(read(path), b"mine")


@in_directory
def a_run_that_reaches_no_host_leaves_what_took_its_files_place(path):
    process = record(path, "-c", "hang-first.json", "--timeout", "3")
    end = time.monotonic() + PROMPT
    while not os.path.exists(path):
        assert time.monotonic() < end, "no file was made"
        time.sleep(0.01)
    make(path, "--force")
    process.send_signal(signal.SIGTERM)
    finish(process)
    equal(replay(path, "--json")[0], 0)


@in_directory
def a_file_that_is_renamed_is_written_further(path):
    process = record(path, "--json", *LIVE)
    first = wait_for_line(process)
    os.rename(path, f"{path}.old")
    process.send_signal(signal.SIGTERM)
    status, rest, err = finish(process)
    equal((status, err), (0, ""))
    equal(replay(f"{path}.old", "--json"), (0, first + rest, ""))


@in_directory
def under_nohup_it_outlives_its_terminal(path):
    process = record(path, "-q", *LIVE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    end = time.monotonic() + PROMPT
    while not os.path.exists(path) or b"tick" not in read(path):
        assert time.monotonic() < end, "no tick was recorded"
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    before = read(path).count(b"tick")
    while read(path).count(b"tick") < before + 3:
        equal(process.poll(), None)
        assert time.monotonic() < end + PROMPT, "it stands still"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    equal(finish(process), (0, "", ""))


@in_directory
def zeros_in_the_middle_are_named(path):
    whole = make(path, "--json")
    lines = read(path).splitlines(keepends=True)
    lines[5] = b"\x00" * (len(lines[5]) - 1) + b"\n"
    write(path, b"".join(lines))
    status, out, err = replay(path, "--json")
    equal((status, err), (1, f"virt-power: {path}: line 6: binary data; no JSON object\n"))
    equal(out, whole.splitlines(keepends=True)[0])


@in_directory
def a_count_ends_a_replay_early(path):
    whole = make(path, "--json")
    write(path, b"".join(read(path).splitlines(keepends=True)[:-3]) + b"rubbish\n")
    equal(replay(path, "--json", "-n", "2"), (0, "".join(whole.splitlines(keepends=True)[:2]), ""))


@in_directory
def outputs_that_end_a_replay(path):
    equal(finish(record(path, "-q", *LIVE, "-n", "30"))[0], 0)
    with open("/dev/full", "w", encoding="ascii") as full:
        equal(finish(golden("replay", path, "--json", stdout=full)),
              (1, None, "virt-power: cannot write the output: No space left on device\n"))
    process = golden("replay", path, "--json")
    fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    wait_for_line(process)
    process.stdout.close()
    equal(process.wait(PROMPT), 0)
    equal(process.stderr.read(), "")
    process.stderr.close()


@test
def a_signal_ends_a_replay_that_waits():
    process = golden("replay", "-", stdin=subprocess.PIPE)
    wait_until_handled(process, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    equal(process.wait(PROMPT), 0)
    equal(finish(process)[1:], ("", ""))


@in_directory
def a_replay_on_a_terminal_is_plain_text(path):
    out = make(path)
    with on_terminal([run_behaviour.OPTIONS.golden, "replay", path], 40, 200) as (pid, master):
        text = read_until(master, None).decode()
        equal(text.replace("\r\n", "\n"), out)
        equal(wait_status(pid), 0)


@in_directory
def a_table_on_a_terminal_is_recorded_too(path):
    with on_terminal([run_behaviour.OPTIONS.golden, "record", path, *LIVE, "-n", "3"]) as (pid, master):
        assert b"\x1b[?1049h" in read_until(master, None)
        equal(wait_status(pid), 0)
    equal(replay(path, "--json"), finish(golden(*LIVE, "-n", "3", "--json")))


@test
def a_domain_may_be_called_like_a_subcommand():
    for name in ("record", "replay"):
        status, out, err = finish(golden("-c", "worked.json", "-n", "1", "-d", "0.1", "--", name))
        equal((status, err), (0, f"virt-power: no domain '{name}' is running here; it will be shown once it is\n"))
        assert "kvm1" in out


if __name__ == "__main__":
    sys.exit(run_behaviour.main())
