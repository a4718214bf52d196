#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How virt-power behaves: signals, terminals, streams that close or are full,
hosts that hang. Prints TAP."""

import argparse
import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback

OPTIONS = None
# Long enough for a loaded machine with sanitizers, far shorter than what is waited for if it fails.
PROMPT = 5.0
TESTS = []
# A tool that is sanitized says so on standard error; its report must fail a test.
ENV = dict(os.environ, LC_ALL="C.UTF-8", XDG_CONFIG_HOME="/nonexistent")
ENV.pop("LIBVIRT_DEFAULT_URI", None)


def test(function):
    TESTS.append(function)
    return function


def golden(*arguments, **keywords):
    return start([OPTIONS.golden, *arguments], **keywords)


def tool(*arguments, **keywords):
    return start([OPTIONS.tool, *arguments], **keywords)


def start(argv, **keywords):
    settings = {"cwd": OPTIONS.fixtures, "env": ENV, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(argv, **{**settings, **keywords})


def finish(process, timeout=30.0):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"{process.args} did not end within {timeout} s") from None
    assert "Sanitizer" not in (err or "") and "runtime error" not in (err or ""), err
    return process.returncode, out, err


def equal(seen, expected):
    assert seen == expected, f"{seen!r} is not {expected!r}"


def wait_for_line(process):
    """The first line that it writes."""
    line = process.stdout.readline()
    assert line, "nothing was written"
    return line


@contextlib.contextmanager
def on_terminal(argv, rows=24, columns=80):
    """The program on a pseudo-terminal of its own, as its controlling one."""
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.chdir(OPTIONS.fixtures)
            os.execve(argv[0], argv, dict(ENV, TERM="xterm"))
        finally:
            os._exit(127)
    try:
        set_size(master, rows, columns)
        yield pid, master
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        os.close(master)


def set_size(master, rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(master, wanted, timeout=20.0):
    """What the terminal got until `wanted` is in it; None: until the program ended."""
    text, end = b"", time.monotonic() + timeout
    while wanted is None or wanted not in text:
        left = end - time.monotonic()
        assert left > 0, f"{wanted!r} did not come; so far {text!r}"
        if not select.select([master], [], [], left)[0]:
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:
            chunk = b""
        if not chunk:
            assert wanted is None, f"it ended before {wanted!r}: {text!r}"
            break
        text += chunk
    return text


def wait_status(pid, timeout=PROMPT):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    raise AssertionError("it did not end")


def wait_until_it_takes(process, number, timeout=20.0):
    """Before that the signal would end it by itself. A slow machine takes its time to get there."""
    bit, end = 1 << (number - 1), time.monotonic() + timeout
    while time.monotonic() < end:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigCgt:", "SigBlk:"))]
        if any(mask & bit for mask in masks):
            return
        time.sleep(0.02)
    raise AssertionError(f"it does not take signal {number}")


@test
def rows_add_up_as_jq_counts():
    jq = shutil.which("jq")
    assert jq, "jq is not installed"
    program = "([.zones[]|select(.counted).energy_uj]|add)==([.rows[].energy_uj//0]|add)"
    for arguments in (["-c", "worked.json", "-n", "3"], ["-c", "cycles.json", "-n", "1"],
                      ["-c", "worked.json", "-n", "3", "--static", "even", "--static-watts", "7.123456"],
                      ["-c", "modelled.json", "-n", "1", "--model", "vm-share"]):
        status, out, err = finish(golden(*arguments, "-d", "0.1", "--json"))
        equal((status, err), (0, ""))
        done = subprocess.run([jq, "-e", program], input=out, stdout=subprocess.PIPE, text=True, check=True)
        equal(done.stdout, "true\n" * int(arguments[3]))


@test
def a_signal_during_the_sleep_ends_it_at_once():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        process = golden("-c", "worked.json", "-d", "0.1", "-n", "1000000", "--json")
        wait_for_line(process)
        process.send_signal(number)
        begin = time.monotonic()
        status, _, err = finish(process)
        assert time.monotonic() - begin < PROMPT
        equal((status, err), (0, ""))
    process = golden("-c", "worked.json", "-d", "86400")
    wait_until_it_takes(process, signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    equal(finish(process)[0], 0)
    assert time.monotonic() - begin < PROMPT


@test
def a_signal_ends_it_while_a_host_hangs():
    process = golden("-c", "hang.json", "-d", "0.1")
    wait_until_it_takes(process, signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    equal(finish(process)[0], 0)
    assert time.monotonic() - begin < PROMPT


@test
def a_signal_ends_it_while_nobody_reads():
    process = golden("-c", "steady.json", "-d", "0.1", "--json")
    with open("/proc/sys/fs/pipe-max-size", encoding="ascii"):
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    time.sleep(2.0)
    process.send_signal(signal.SIGTERM)
    equal(process.wait(PROMPT), 0)
    finish(process)


@test
def a_reader_that_leaves_ends_it_quietly():
    for kind in ("--json", "--csv", None):
        process = golden("-c", "steady.json", "-d", "0.1", *([kind] if kind else []))
        wait_for_line(process)
        process.stdout.close()
        equal(process.wait(PROMPT), 0)
        equal(process.stderr.read(), "")
        process.stderr.close()


@test
def a_reader_that_leaves_ends_it_during_the_sleep():
    process = golden("-c", "steady.json", "-d", "86400")
    time.sleep(0.5)
    process.stdout.close()
    equal(process.wait(PROMPT), 0)
    process.stderr.close()


@test
def a_full_device_is_an_error():
    with open("/dev/full", "w", encoding="ascii") as full:
        status, _, err = finish(golden("-c", "worked.json", "-d", "0.1", "-n", "3", "--json", stdout=full))
    equal((status, err), (1, "virt-power: cannot write the output: No space left on device\n"))


@test
def help_on_a_full_device_is_an_error():
    with open("/dev/full", "w", encoding="ascii") as full:
        for option in ("--help", "--version"):
            status, _, err = finish(tool(option, stdout=full))
            equal((status, err), (1, "virt-power: cannot write the output: No space left on device\n"))


@test
def a_closed_standard_output_is_an_error():
    argv = ["/bin/sh", "-c", 'exec "$0" "$@" >&-', OPTIONS.golden, "-c", "worked.json", "-n", "1", "-d", "0.1"]
    status, _, err = finish(start(argv))
    equal((status, err), (1, "virt-power: standard output is closed\n"))
    for option in ("--help", "--version", "-V"):
        status, _, err = finish(start(["/bin/sh", "-c", 'exec "$0" "$@" >&-', OPTIONS.tool, option]))
        equal((status, err), (1, "virt-power: standard output is closed\n"))
    status, _, err = finish(start(["/bin/sh", "-c", 'exec "$0" "$@" >&-', OPTIONS.tool, "-n", "0"]))
    equal((status, err.count("\n")), (2, 1))


@test
def closed_standard_streams_are_not_taken_by_sockets():
    argv = ["/bin/sh", "-c", 'exec "$0" "$@" <&- 2>&-', OPTIONS.tool, "-c", "test:///default", "-n", "1", "-d", "0.1",
            "--json"]
    status, out, _ = finish(start(argv))
    equal(status, 0)
    equal(json.loads(out)["uri"], "test:///default")


@test
def ticks_keep_to_their_schedule():
    begin = time.monotonic()
    status, out, _ = finish(golden("-c", "steady.json", "-d", "0.2", "-n", "10", "--json"))
    took = time.monotonic() - begin
    equal((status, len(out.splitlines())), (0, 10))
    assert 1.95 < took < 2.0 + PROMPT, took


@test
def count_counts_ticks_without_an_interval_too():
    # Samples 2 and 3 close no interval, and the daemon is away for two.
    status, out, err = finish(golden("-c", "restart.json", "-d", "0.1", "-n", "5", "--json"))
    equal((status, len(out.splitlines())), (0, 2))
    equal(err.splitlines(), [
        "virt-power: lost qemu:///system: the daemon gave no domain stats: End of file while reading data; trying again",
        "virt-power: connected",
        "virt-power: the host's counters restarted: no figures for this interval"])


@test
def a_host_that_hangs_does_not_hold_up_others():
    process = golden("-c", "hang.json", "-c", "steady.json", "-d", "0.3", "-n", "6", "--json")
    begin = time.monotonic()
    status, out, _ = finish(process)
    assert time.monotonic() - begin < 6 * 0.3 + 1.0 + PROMPT
    equal(status, 0)
    equal([json.loads(line)["host"] for line in out.splitlines()], ["kvm1"] * 6)


@test
def a_host_that_hangs_from_the_start_does_not_hold_up_others():
    process = golden("-c", "hang-first.json", "-c", "steady.json", "-d", "0.2", "-n", "3", "--json")
    status, out, _ = finish(process, 20)
    equal(status, 0)
    equal(len(out.splitlines()), 3)


@test
def the_terminal_is_redrawn_and_left_as_it_was():
    with on_terminal([OPTIONS.golden, "-c", "steady.json", "-d", "0.2"]) as (pid, master):
        before = termios.tcgetattr(master)
        text = read_until(master, b"(rest of the host)")
        assert b"\x1b[?1049h\x1b[?25l" in text, text
        os.write(master, b"\x03")  # Ctrl-C
        rest = read_until(master, None)
        equal(wait_status(pid), 0)
        assert b"\x1b[?25h\x1b[?1049l" in rest, rest
        # What was last seen stays, without escapes.
        left = rest.rpartition(b"\x1b[?1049l")[2]
        assert b"alpha" in left and b"\x1b" not in left, left
        equal(termios.tcgetattr(master), before)


@test
def the_terminal_is_left_as_it_was_by_every_end():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        with on_terminal([OPTIONS.golden, "-c", "steady.json", "-d", "0.2"]) as (pid, master):
            read_until(master, b"(rest of the host)")
            os.kill(pid, number)
            assert b"\x1b[?25h\x1b[?1049l" in read_until(master, None)
            equal(wait_status(pid), 0)
    with on_terminal([OPTIONS.golden, "-c", "steady.json", "-d", "0.2", "-n", "2"]) as (pid, master):
        assert b"\x1b[?25h\x1b[?1049l" in read_until(master, None)
        equal(wait_status(pid), 0)


@test
def a_change_of_size_is_followed():
    with on_terminal([OPTIONS.golden, "-c", "hostile.json", "-d", "60"], 24, 80) as (pid, master):
        read_until(master, b"waiting for the first interval")
        set_size(master, 5, 12)
        os.kill(pid, signal.SIGWINCH)
        text = read_until(master, b"~")
        frame = text.rpartition(b"\x1b[H")[2]
        for line in frame.replace(b"\x1b[J", b"").split(b"\r\n"):
            assert len(line.replace(b"\x1b[2K", b"")) <= 12, line
        os.kill(pid, signal.SIGTERM)
        read_until(master, None)
        equal(wait_status(pid), 0)


@test
def the_table_keeps_to_the_size():
    with on_terminal([OPTIONS.golden, "-c", "hostile.json", "-d", "0.2", "-n", "2"], 6, 40) as (_, master):
        text = read_until(master, None).decode()
        frames = [frame for frame in text.partition("\x1b[?25h")[0].split("\x1b[H")[1:] if "NAME" in frame]
        assert frames, text
        for frame in frames:
            lines = frame.replace("\x1b[J", "").replace("\x1b[2K", "").replace("\r", "").split("\n")
            assert len(lines) <= 6, lines
            assert all(len(line) <= 40 for line in lines), lines


def frames_of(text):
    """The lines of each frame that has a table."""
    frames = [frame for frame in text.decode().partition("\x1b[?25h")[0].split("\x1b[H")[1:] if "NAME" in frame]
    assert frames, text
    return [re.sub(r"\x1b\[(2K|J)|\r", "", frame).split("\n") for frame in frames]


@test
def a_long_name_leaves_the_figures_on_a_narrow_screen():
    with on_terminal([OPTIONS.golden, "-c", "long-name.json", "-d", "0.2", "-n", "1"], 10, 60) as (_, master):
        for lines in frames_of(read_until(master, None)):
            assert all(len(line) <= 60 for line in lines), lines
            assert any(re.fullmatch(r"N{21}~ +1\.00 +1\.00 +12\.5 +6\.2", line) for line in lines), lines
            assert lines[0].startswith("kvm1  total 8.00 W  1.000 s  "), lines


@test
def the_first_line_of_80_columns_has_what_matters():
    argv = [OPTIONS.golden, "-c", "worked-ro.json", "-d", "0.2", "-n", "1"]
    with on_terminal(argv, 24, 80) as (_, master):
        for lines in frames_of(read_until(master, None)):
            equal(lines[:2], ["kvm1  total 33.00 W  3.000 s  22:15:03Z  host-share  qemu:///system",
                              "  package-0 30.00 W  package-0/dram 3.00 W"])


@test
def q_ends_it_and_other_keys_do_not():
    with on_terminal([OPTIONS.golden, "-c", "steady.json", "-d", "0.2"]) as (pid, master):
        before = termios.tcgetattr(master)
        read_until(master, b"(rest of the host)")
        os.write(master, b"x\n\x1bq\x1bOQ")
        text = read_until(master, b"(rest of the host)") + read_until(master, b"(rest of the host)")
        assert b"x\r" not in text, text
        os.write(master, b"q")
        assert b"\x1b[?25h\x1b[?1049l" in read_until(master, None)
        equal(wait_status(pid), 0)
        equal(termios.tcgetattr(master), before)
    # Before the first interval, too; and it says nothing where nothing listens.
    with on_terminal([OPTIONS.golden, "-c", "steady.json", "-d", "86400"]) as (pid, master):
        read_until(master, b"waiting for the first interval")
        os.write(master, b"q")
        read_until(master, None)
        equal(wait_status(pid), 0)


ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


@contextlib.contextmanager
def under_a_shell(*arguments):
    """A shell with job control that has started the program."""
    shell = shutil.which("bash")
    assert shell, "bash is not installed"
    with on_terminal([shell, "--norc", "--noprofile", "--noediting", "-i"]) as (pid, master):
        os.write(master, " ".join(["PS1=ready:", ";", OPTIONS.golden, *arguments]).encode() + b"\r")
        yield pid, master


@test
def a_stop_leaves_the_terminal_and_goes_on_where_it_was():
    with under_a_shell("-c", "steady.json", "-d", "0.2") as (_, master):
        read_until(master, ENTER)
        read_until(master, b"(rest of the host)")
        for stop in (b"\x1a", b"\x1a"):  # Ctrl-Z, and once more after it went on
            os.write(master, stop)
            text = read_until(master, b"Stopped")
            assert LEAVE in text and text.rpartition(b"Stopped")[0].rpartition(LEAVE)[2].count(b"alpha") == 0, text
            os.write(master, b"stty -a\r")
            modes = read_until(master, b"echoctl")
            assert b" icanon" in modes and b" echo " in modes, modes
            os.write(master, b"fg\r")
            read_until(master, ENTER)
            read_until(master, b"(rest of the host)")
        os.write(master, b"q")
        assert LEAVE in read_until(master, b"ready:")


@test
def in_the_background_it_leaves_the_terminal_alone():
    with under_a_shell("-c", "steady.json", "-d", "0.2") as (_, master):
        read_until(master, b"(rest of the host)")
        os.write(master, b"\x1a")
        read_until(master, b"Stopped")
        os.write(master, b"bg\r")
        read_until(master, b"&")
        time.sleep(1.0)
        os.write(master, b"echo still $((40 + 2))\r")
        text = read_until(master, b"still 42")
        assert b"\x1b" not in text, text
        os.write(master, b"jobs\r")
        read_until(master, b"Running")
        os.write(master, b"fg\r")
        read_until(master, ENTER)
        read_until(master, b"(rest of the host)")
        os.write(master, b"q")
        read_until(master, LEAVE)


@test
def a_stop_that_cannot_be_caught_is_drawn_over():
    with under_a_shell("-c", "steady.json", "-d", "0.2", "&", "read", "line") as (_, master):
        # In the background it draws nothing; its process is the shell's only child.
        time.sleep(0.5)
        os.write(master, b"\rfg\r")
        read_until(master, ENTER)
        child = os.tcgetpgrp(master)
        os.kill(child, signal.SIGSTOP)
        read_until(master, b"Stopped")
        os.write(master, b"fg\r")
        read_until(master, ENTER)
        read_until(master, b"(rest of the host)")
        os.write(master, b"q")
        read_until(master, LEAVE)
        os.write(master, b"stty -a\r")
        modes = read_until(master, b"echoctl")
        assert b" icanon" in modes and b" echo " in modes, modes


@test
def where_nobody_could_make_it_go_on_it_does_not_stop():
    with on_terminal([OPTIONS.golden, "-c", "steady.json", "-d", "0.2"]) as (pid, master):
        read_until(master, b"(rest of the host)")
        os.write(master, b"\x1a")
        assert LEAVE in read_until(master, ENTER)
        read_until(master, b"(rest of the host)")
        os.write(master, b"q")
        read_until(master, None)
        equal(wait_status(pid), 0)


@test
def names_cannot_reach_the_terminal():
    with on_terminal([OPTIONS.golden, "-c", "hostile.json", "-d", "0.1", "-n", "1"], 40, 200) as (_, master):
        text = read_until(master, None).decode()
        assert "red" in text and "\x1b[31m" not in text and "\x07" not in text and "\u202e" not in text, text


@test
def a_dumb_terminal_gets_plain_text():
    argv = ["/usr/bin/env", "TERM=dumb", OPTIONS.golden, "-c", "worked.json", "-d", "0.1", "-n", "1"]
    with on_terminal(argv) as (_, master):
        text = read_until(master, None)
        assert b"alpha" in text and b"\x1b" not in text, text


@test
def a_stock_library_with_the_test_driver():
    status, out, err = finish(tool("-c", "test:///default", "-d", "0.1", "-n", "2", "--json"))
    equal((status, err), (0, ""))
    lines = [json.loads(line) for line in out.splitlines()]
    equal(len(lines), 2)
    for line in lines:
        equal((line["uri"], line["status"], line["zones"]), ("test:///default", "no-group", []))
        equal([row["name"] for row in line["rows"]], ["test"])
        assert all("energy_uj" not in row for row in line["rows"])


@test
def the_default_uri_of_libvirt_is_honoured():
    process = tool("-d", "0.1", "-n", "1", "--json", env=dict(ENV, LIBVIRT_DEFAULT_URI="test:///default"))
    status, out, _ = finish(process)
    equal((status, json.loads(out)["uri"]), (0, "test:///default"))


@test
def an_unknown_uri_is_one_line_and_status_1():
    for uri in ("nope:///system", "::", "qemu+nope:///system"):
        status, out, err = finish(tool("-c", uri, "-n", "1"))
        equal((status, out), (1, ""))
        assert err.startswith(f"virt-power: cannot connect to {uri}: "), err
        equal(err.count("\n"), 1)


@test
def a_very_long_uri_does_not_fill_the_screen():
    uri = "nosuch:///" + "x" * 100000 + "end"
    for arguments in (["-c", uri], ["-c", uri, "-c", "test:///default"], ["-c", uri, "-c", uri], [uri], ["--" + uri],
                      ["--model", uri]):
        _, out, err = finish(tool(*arguments, "-n", "1", "-d", "0.1"))
        assert err.startswith("virt-power: ") and err.count("\n") == 1 and "xxx" not in out, (out[:300], err[:300])
        assert len(err) < 1100, len(err)
    # What is wrong with it can still be read.
    assert err.startswith("virt-power: --model must be one of") and "end" in err, err
    err = finish(tool("-c", uri, "-c", uri))[2]
    assert "is given twice" in err, err


@test
def a_uri_is_named_once():
    err = finish(tool("-c", "nosuch:///x", "-c", "test:///default", "-n", "1", "-d", "0.1"))[2]
    assert err.startswith("virt-power: cannot connect to nosuch:///x: ") and err.count("nosuch:///x: ") == 1, err
    with mute_daemon() as uri:
        status, _, err = finish(tool("-c", uri, "-c", "test:///default", "-n", "2", "-d", "1", "--timeout", "1"))
        equal((status, err), (0, f"virt-power: {uri} did not answer within 1 s; trying again\n"))


@contextlib.contextmanager
def mute_daemon():
    """A socket that accepts and never says a word."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            held, ends = [], threading.Event()

            def accept():
                while not ends.is_set():
                    if select.select([listener], [], [], 0.05)[0]:
                        held.append(listener.accept()[0])

            thread = threading.Thread(target=accept)
            thread.start()
            try:
                yield f"qemu+unix:///system?socket={path}"
            finally:
                ends.set()
                thread.join()
                for connection in held:
                    connection.close()


@test
def a_daemon_that_does_not_answer_is_given_up():
    with mute_daemon() as uri:
        begin = time.monotonic()
        status, out, err = finish(tool("-c", uri, "-n", "1", "--timeout", "0.5"))
        assert 0.4 < time.monotonic() - begin < 0.5 + PROMPT
        equal((status, out), (1, ""))
        equal(err, f"virt-power: {uri} did not answer within 0.5 s\n")


@test
def a_daemon_that_does_not_answer_does_not_hold_up_others():
    with mute_daemon() as uri:
        process = tool("-c", uri, "-c", "test:///default", "-n", "4", "-d", "0.2", "--timeout", "60", "--json")
        begin = time.monotonic()
        status, out, _ = finish(process)
        assert time.monotonic() - begin < 2 + PROMPT
        equal((status, len(out.splitlines())), (0, 4))


@test
def a_socket_that_may_not_be_opened_is_said_so():
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        os.chmod(directory, 0o755)
        listener.bind(f"{directory}/sock")
        listener.listen()
        os.chmod(f"{directory}/sock", 0o700)
        # The build may be where nobody can reach it.
        program = shutil.copy(OPTIONS.tool, directory)
        library = os.path.join(os.path.dirname(OPTIONS.tool), "../../include")
        for name in os.listdir(library):
            if re.fullmatch(r"libvirt-power\.so\.0", name):
                shutil.copy(os.path.join(library, name), directory)
        process = start([program, "-c", f"qemu+unix:///system?socket={directory}/sock", "-n", "1"], user=65534,
                        group=65534, extra_groups=[], cwd="/", env=dict(ENV, LD_LIBRARY_PATH=directory))
        status, out, err = finish(process)
        equal((status, out), (1, ""))
        assert "Permission denied" in err and err.count("\n") == 1, err


# Measures for two seconds. The fixtures are of kvm1, by whose URI it seems to be this machine, and is not.
QUICK = ("calibrate", "--seconds", "2")
PLUGIN_FILE = "host-power-calibration.conf"


def calibrate(*arguments, home="/nonexistent", **keywords):
    return finish(golden(*QUICK, *arguments, env=dict(ENV, XDG_CONFIG_HOME=home), **keywords))


def only_files(directory):
    return sorted(os.path.relpath(os.path.join(base, name), directory)
                  for base, _, names in os.walk(directory) for name in names)


@test
def an_idle_host_is_measured_and_the_file_is_whole():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/{PLUGIN_FILE}"
        status, out, err = calibrate("-c", "idle.json", "--output", path)
        equal((status, err), (0, "virt-power: measuring kvm1 for 2 s: leave it idle\n"))
        lines = out.splitlines()
        assert re.fullmatch(r"kvm1  \d+\.0 s  CPUs busy: 0\.50 % on average, 0\.50 % in the busiest window", lines[0]), out
        assert re.fullmatch(r"package-0 +12\.000 +0\.000 +12\.000 +12\.000 +\d+ +0  powercap", lines[2]), out
        assert re.fullmatch(r"package-0/dram +2\.000 .* powercap", lines[3]), out
        equal(lines[4:], [f"written to {path}; the daemon publishes it"])
        equal(only_files(directory), [PLUGIN_FILE])
        equal(os.stat(path).st_mode & 0o7777, 0o644)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert "[zone package-0]\ntype=package\nsource=powercap\nstatic_uw=12000000\n" in text, text
        assert "host=kvm1\n" in text and "busy_percent=0.500\n" in text, text
        # Another machine, as far as one can tell: its identity is not this one's.
        assert "machine_id" not in text, text


@test
def a_calibration_as_json():
    status, out, _ = calibrate("-c", "idle.json", "--dry-run", "--json")
    equal(status, 0)
    shown = json.loads(out)
    equal(list(shown), ["host", "uri", "date", "seconds", "busy_percent", "busy_highest_percent", "zones"])
    equal((shown["host"], shown["busy_percent"]), ("kvm1", 0.5))
    equal([(zone["name"], zone["static_uw"], zone["deviation_uw"], zone["dropped_windows"]) for zone in shown["zones"]],
          [("package-0", 12000000, 0, 0), ("package-0/dram", 2000000, 0, 0)])
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/{PLUGIN_FILE}"
        shown = json.loads(calibrate("-c", "idle.json", "--json", "--output", path)[1])
        equal((shown["file"], shown["published"]), (path, True))


@test
def a_dry_run_writes_nothing():
    with tempfile.TemporaryDirectory() as directory:
        status, out, _ = calibrate("-c", "idle.json", "--dry-run", "--output", f"{directory}/x", home=directory)
        equal((status, out.splitlines()[-1]), (0, "not written (--dry-run)"))
        equal(only_files(directory), [])


@test
def modelled_energy_is_labelled_where_it_is_shown_and_kept():
    with tempfile.TemporaryDirectory() as directory:
        status, out, _ = calibrate("-c", "idle-modelled.json", "--output", f"{directory}/x")
        equal(status, 0)
        assert "energy is modelled, not measured" in out, out
        with open(f"{directory}/x", encoding="utf-8") as file:
            assert "source=modelled\n" in file.read()


@test
def a_busy_host_is_refused_and_an_older_file_stays():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/{PLUGIN_FILE}"
        with open(path, "w", encoding="utf-8") as file:
            file.write("older\n")
        status, out, err = calibrate("-c", "worked.json", "--output", path)
        equal((status, out), (1, ""))
        assert "is not idle" in err and "domain alpha" in err and err.endswith("; nothing was written\n"), err
        with open(path, encoding="utf-8") as file:
            equal(file.read(), "older\n")
        equal(only_files(directory), [PLUGIN_FILE])


@test
def a_daemon_that_goes_away_leaves_too_few_windows():
    status, out, err = calibrate("-c", "idle-then-gone.json", "--dry-run")
    equal((status, out), (1, ""))
    assert re.search(r"only 7 of \d+ windows could be measured: .*End of file", err), err


@test
def a_place_where_one_cannot_write_is_said_before_a_minute_is_spent():
    with tempfile.TemporaryDirectory() as directory:
        os.mkfifo(f"{directory}/fifo")
        for path, text in ((f"{directory}/none/x", "none: No such file or directory"), ("/proc/x/y", "No such file"),
                           (directory, "is not a file"), (f"{directory}/fifo", "is not a file"),
                           ("/proc/self/status/x", "Not a directory")):
            begin = time.monotonic()
            status, out, err = finish(golden("calibrate", "-c", "idle.json", "--output", path))
            assert time.monotonic() - begin < PROMPT
            equal((status, out), (1, ""))
            assert text in err and err.count("\n") == 1 and "nothing was written" in err, err


@test
def a_full_device_writes_no_calibration():
    # /dev/full cannot be the file, which is made anew; a limit on the size of files stands in for a full disk.
    with tempfile.TemporaryDirectory() as directory:
        argv = ["/bin/bash", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$0" "$@"', OPTIONS.golden, *QUICK, "-c",
                "idle.json", "--output", f"{directory}/x"]
        status, out, err = finish(start(argv, stdout=subprocess.PIPE))
        equal((status, out), (1, ""))
        assert f"cannot write {directory}/x: File too large; nothing was written" in err, err
        equal(only_files(directory), [])


@test
def a_signal_ends_a_calibration_and_nothing_is_written():
    for number in (signal.SIGINT, signal.SIGTERM):
        for source in ("idle.json", "hang.json"):
            with tempfile.TemporaryDirectory() as directory:
                process = golden("calibrate", "-c", source, "--output", f"{directory}/x")
                process.stderr.readline()
                time.sleep(1.5)
                process.send_signal(number)
                begin = time.monotonic()
                status, out, err = finish(process)
                assert time.monotonic() - begin < PROMPT
                equal((status, out, err), (1, "", "virt-power: ended before it was done; nothing was written\n"))
                equal(only_files(directory), [])


@test
def without_a_place_of_the_daemon_the_user_has_one_and_it_is_found_again():
    with tempfile.TemporaryDirectory() as home:
        status, out, _ = calibrate("-c", "idle.json", home=home)
        path = "virt-power/calibration/kvm1.conf"
        equal((status, only_files(home)), (0, [path]))
        assert out.endswith(f"written to {home}/{path}\n"), out
        env = dict(ENV, XDG_CONFIG_HOME=home)
        arguments = ("-c", "worked.json", "-d", "0.1", "-n", "1")
        status, own, err = finish(golden(*arguments, env=env))
        equal((status, err), (0, ""))
        # It goes before what a daemon publishes, and --static-watts before it.
        equal(finish(golden("-c", "calibrated.json", *arguments[2:], env=env))[1], own)
        equal(finish(golden(*arguments, "--static-watts", "package-0=12,package-0/dram=2"))[1], own)
        assert " W  " in own and "W+IDLE" not in own and "(static power)              14.00" in own, own
        assert "W+IDLE" in finish(golden(*arguments, "--static-watts", "none", env=env))[1]
        # Not of another host, nor of another source, nor where it is broken.
        os.rename(f"{home}/{path}", f"{home}/virt-power/calibration/demo.conf")
        status, out, err = finish(golden("-c", "modelled.json", "-d", "0.1", "-n", "1", env=env))
        assert status == 0 and "W+IDLE" in out and "'host': it is another host's" in err, (out, err)
        with open(f"{home}/{path}", "w", encoding="utf-8") as file:
            file.write("[calibration]\nversion=1\nhost=kvm1\n[zone package-0]\nsource=perf\nstatic_uw=5\n")
        status, out, err = finish(golden(*arguments, env=env))
        assert status == 0 and "W+IDLE" in out and "'source'" in err and err.count("\n") == 1, (out, err)


@test
def a_daemon_that_does_not_publish_it_is_said():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/{PLUGIN_FILE}"
        status, out, err = calibrate("-c", "idle-modelled.json", "--output", path)
        equal(status, 0)
        assert f"does not publish it: its log says why, unless {directory} is not its" in err, err
        assert "publishes it" not in out, out


@test
def a_recording_keeps_static_power_and_another_one_can_be_given():
    with tempfile.TemporaryDirectory() as home:
        path = f"{home}/recording"
        status, live, err = finish(golden("record", path, "-c", "calibrated.json", "-d", "0.1", "-n", "2"))
        equal((status, err), (0, ""))
        assert " W  " in live and "W+IDLE" not in live, live
        equal(finish(golden("replay", path))[1], live)
        assert "W+IDLE" in finish(golden("replay", path, "--static-watts", "none"))[1]
        # The user's own calibration is in what is recorded, and no other one comes on top of it later.
        os.makedirs(f"{home}/virt-power/calibration")
        with open(f"{home}/virt-power/calibration/kvm1.conf", "w", encoding="utf-8") as file:
            file.write("[calibration]\nversion=1\nhost=kvm1\n[zone package-0]\nsource=powercap\nstatic_uw=5000000\n")
        env = dict(ENV, XDG_CONFIG_HOME=home)
        equal(finish(golden("replay", path, env=env))[1], live)
        own = finish(golden("record", path + "2", "-c", "calibrated.json", "-d", "0.1", "-n", "2", env=env))[1]
        assert re.search(r"\(static power\) +5\.00 ", own), own
        equal(finish(golden("replay", path + "2"))[1], own)


def hyperthreads_here():
    """Has a core two that this process may use?"""
    allowed = os.sched_getaffinity(0)
    for cpu in allowed:
        with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", encoding="utf-8") as file:
            siblings = file.read()
        numbers = [part.split("-") for part in siblings.strip().split(",")]
        if len({n for part in numbers for n in range(int(part[0]), int(part[-1]) + 1)} & allowed) > 1:
            return True
    return False


@test
def load_is_put_only_where_it_tells_something():
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{OPTIONS.fixtures}/idle.json", encoding="utf-8") as file:
            text = file.read().replace('"kvm1"', json.dumps(os.uname().nodename))
        with open(f"{directory}/here.json", "w", encoding="utf-8") as file:
            file.write(text)
        begin = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        status, out, err = calibrate("-c", f"{directory}/here.json", "--load", "--dry-run")
        # The fixture's daemon counts no shared cores.
        if hyperthreads_here():
            equal((status, out), (1, ""))
            assert "does not count the use of shared cores: without it no weight can be found (--load)" in err, err
        else:
            equal(status, 0)
            assert "has two hyperthreads that this process may use: no load is put, and no weight is needed\n" in err, err
            assert "weighs" not in out and "package-0 " in out, out
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begin < 1


def attempt(number, function, last):
    """True if it passed; why not is told in any case."""
    try:
        function()
    except Exception:  # whatever it is, it is this test's failure
        print("\n".join(f"# {line}" for line in traceback.format_exc().splitlines()), flush=True)
        if last:
            print(f"not ok {number} - {function.__name__}", flush=True)
        return False
    print(f"ok {number} - {function.__name__}", flush=True)
    return True


def main():
    global OPTIONS
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True, type=os.path.abspath)
    parser.add_argument("--golden", required=True, type=os.path.abspath)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("only", nargs="*")
    OPTIONS = parser.parse_args()
    chosen = [function for function in TESTS if not OPTIONS.only or function.__name__ in OPTIONS.only]
    print(f"1..{len(chosen)}", flush=True)
    # Many of them wait for something; a machine that is not alone on its host can stand still for longer than that.
    passed = [attempt(number, function, last=False) or attempt(number, function, last=True)
              for number, function in enumerate(chosen, 1)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
