# SPDX-License-Identifier: LGPL-2.1-or-later
"""The suites of tools/check, in the order in which they run."""

import functools
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree
from dataclasses import dataclass, field
from typing import Callable

from lab import build
from lab.build import TOP

SANITIZERS = ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
# Optimising what is sanitized takes three times as long; warnings that need it come from the plain build.
SANITIZED = [*SANITIZERS, "-Doptimization=0"]
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "LSAN_OPTIONS": f"suppressions={TOP}/tools/lib/lsan.supp:print_suppressions=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
FUZZ_SECONDS = 10
FUZZ_TARGETS = [f"tests/fuzz/fuzz-{os.path.basename(path)[5:-4]}" for path in sorted(glob.glob(f"{TOP}/tests/fuzz/fuzz_*.cpp"))]
KERNEL_MODULES = ("tests/power-host/module/", "tests/power-host/nested/")  # in the kernel's style and by its licence
TAIL = 60


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: list = field(default_factory=list)
    again: list = field(default_factory=list)  # what failed at first, and why
    text: str = ""
    not_run: str = ""  # why this machine cannot run the suite at all


class Failed(Exception):
    def __init__(self, text, count=1, passed=0):
        super().__init__(text)
        self.count, self.passed = count, passed


@dataclass
class Suite:
    name: str
    title: str
    run: Callable
    slow: bool = False  # not with --quick


class Context:
    """What suites share; each build is done once, and only if a suite wants it."""

    def __init__(self, lab, each_patch=False, everything=False):
        self.lab = lab
        self.each_patch = each_patch
        self.everything = everything  # also what takes long

    def step(self, title, argv, **keywords):
        log = f"{self.lab.dir}/{re.sub(r'[^a-z0-9]+', '-', title.lower())}.log"
        return build.run_step(self.lab.supervisor, title, argv, log, **keywords)

    def _project(self, kind, options, env=None, targets=()):
        return build.build_project(self.lab.supervisor, self.lab.dir, kind, options, env, targets)

    @functools.cached_property
    def plain(self):
        return self._project("plain", build.PLAIN)

    @functools.cached_property
    def sanitized(self):
        return self._project("sanitized", SANITIZED)

    @functools.cached_property
    def fuzzing(self):
        # Warnings are for GCC to give: clang has others, in the macros of libraries too.
        options = ["-Dfuzz=true", *SANITIZERS, "-Doptimization=1", "-Dwerror=false",
                   "-Dcpp_args=-fsanitize=fuzzer-no-link"]
        return self._project("fuzz", options, {"CC": "ccache clang", "CXX": "ccache clang++"}, targets=FUZZ_TARGETS)

    @functools.cache
    def prefix(self, version):
        return build.build_libvirt(self.lab.supervisor, self.lab.dir, version)


def tracked(*patterns):
    """Files under version control, and new ones that it would not ignore."""
    listed = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                            cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted({name for name in listed.splitlines() if os.path.isfile(f"{TOP}/{name}")})


def tail(text, lines=TAIL):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def check_format(context):
    # The plugin's C ABI is in libvirt's style: its patch carries the file unchanged.
    files = [name for name in tracked("*.cpp", "*.hpp", "*.h", "*.c")
             if name != "include/virt-power/host_power_plugin.h" and not name.startswith(KERNEL_MODULES)]
    status, text = context.step("clang-format", ["clang-format", "--dry-run", "-Werror", *files], check=False)
    if status != 0:
        bad = sorted({line.split(":")[0] for line in text.splitlines() if ": error:" in line})
        raise Failed(f"not formatted; run: clang-format -i {' '.join(bad)}" if bad else tail(text))
    return Outcome(passed=1)


def wants_license(name):
    if name.startswith(("LICENSES/", "tests/fixtures/")) or name.endswith((".patch", ".json", ".md")):
        return False
    if os.path.splitext(name)[1] in (".c", ".h", ".cpp", ".hpp", ".py", ".sh", ".build"):
        return True
    with open(f"{TOP}/{name}", "rb") as file:
        return file.read(2) == b"#!"


def check_licenses(_context):
    bad = []
    for name in filter(wants_license, tracked()):
        with open(f"{TOP}/{name}", encoding="utf-8") as file:
            head = "".join(file.readline() for _ in range(5))
        # In two parts, so that this file does not look like one with two licences.
        found = re.search("SPDX-License-" + r"Identifier: (.*?)(?: \*/)?$", head, re.M)
        wanted = "LGPL-2.1-or-later"
        if name.startswith(KERNEL_MODULES):
            wanted = "GPL-2.0-only"
        elif name.startswith("src/host/bpf/"):  # the kernel takes GPL programs only; a header of both sides
            wanted = "GPL-2.0-only" if name.endswith(".c") else f"GPL-2.0-only OR {wanted}"
        if not found or found[1] != wanted:
            bad.append(f"{name}: {found[1] if found else 'no SPDX line'}, not {wanted}")
            continue
        for text in wanted.split(" OR "):
            if not os.path.isfile(f"{TOP}/LICENSES/{text}.txt"):
                bad.append(f"LICENSES/{text}.txt is not there")
    if bad:
        raise Failed("\n".join(bad))
    return Outcome(passed=1)


def check_patches(_context):
    """The series is the list of what is there, and each patch says where it is from."""
    bad, count = [], 0
    for directory in sorted(glob.glob(f"{TOP}/patches/libvirt-*")):
        with open(f"{directory}/series", encoding="utf-8") as file:
            series = [line.strip() for line in file if line.strip() and not line.startswith("#")]
        files = sorted(os.path.basename(path) for path in glob.glob(f"{directory}/*.patch"))
        if sorted(series) != files:
            bad.append(f"{directory}: series and patches differ: {sorted(set(series) ^ set(files))}")
        for name in set(series) & set(files):
            count += 1
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                head = file.read().partition("\ndiff --git")[0]
            missing = [field for field in ("From:", "Subject:", "Origin:", "Forwarded:")
                       if not re.search(f"^{field}", head, re.M)]
            if missing:
                bad.append(f"{directory}/{name}: no {' '.join(missing)}")
    versions = sorted(os.path.basename(path)[8:] for path in glob.glob(f"{TOP}/patches/libvirt-*"))
    if versions != sorted(build.VERSIONS):
        bad.append(f"there are patches for {versions}, and lab/build.py knows {build.VERSIONS}")
    header = subprocess.run([f"{TOP}/patches/check-abi-header"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    if header.returncode != 0:
        bad.append(header.stdout)
    count += 1
    if bad:
        raise Failed("\n".join(bad), count=len(bad), passed=max(0, count - len(bad)))
    return Outcome(passed=count)


def check_build(context):
    return Outcome(passed=1 if context.plain else 0)


def junit(path):
    """The names of what passed, failed and was skipped in a JUnit file."""
    passed, failed, skipped = [], [], []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}: {case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None:
            skipped.append(name)
        else:
            passed.append(name)
    return passed, failed, skipped


def failed_programs(directory):
    """The names by which meson runs them again."""
    with open(f"{directory}/meson-logs/testlog.json", encoding="utf-8") as file:
        results = [json.loads(line) for line in file]
    return [result["name"].rpartition(" / ")[2] for result in results if result["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")]


def meson_test(context, title, directory, env=None):
    """Programs that failed run once more, as other tests do (lab/report.py): a machine may stand still for a while."""
    def attempt(title, programs):
        argv = ["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", *programs]
        status, text = context.step(title, argv, check=False, env={**os.environ, **(env or {})})
        try:
            return status, text, junit(f"{directory}/meson-logs/testlog.junit.xml")
        except OSError:
            raise Failed(tail(text)) from None

    status, text, (passed, failed, skipped) = attempt(title, [])
    again = [f"{name}\n    {title}, first attempt" for name in failed]
    if status != 0 and (programs := failed_programs(directory)):
        print("    again:\n" + "\n".join(f"    {line}" for line in tail(text).splitlines()), flush=True)
        status, text, (passed_then, failed, _) = attempt(f"{title}, second attempt", programs)
        passed += [name for name in passed_then if name not in set(passed)]
    if status != 0 or failed or not passed:
        raise Failed(tail(text) + "\n" + "\n".join(f"failed: {name}" for name in failed), max(1, len(failed)), len(passed))
    return Outcome(passed=len(passed), skipped=skipped, again=again)


def check_unit(context):
    return meson_test(context, "unit", context.sanitized, env=SANITIZER_ENV)


def check_tidy(context):
    """Of src and tools; what was found clean once is not looked at again."""
    status, text = context.step("clang-tidy", ["/usr/bin/python3", "-B", f"{TOP}/tools/lib/tidy.py", context.sanitized], check=False)
    counts = re.search(r"(?m)^tidy: (\d+) files", text)
    if status != 0 or not counts:
        lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if re.search(r": (error|warning):", line)]
        raise Failed("\n".join(sorted(set(lines))[:TAIL]) or tail(text))
    return Outcome(passed=int(counts[1]))


def check_fuzz(context):
    passed, bad = 0, []
    for target in FUZZ_TARGETS:
        program, name = f"{context.fuzzing}/{target}", os.path.basename(target)
        work = f"{context.lab.dir}/{name}"
        os.makedirs(work)
        status, text = context.step(name, [program, f"-max_total_time={FUZZ_SECONDS}", "-timeout=5", "-rss_limit_mb=1024",
                                           f"-artifact_prefix={work}/", work], check=False)
        if status == 0:
            passed += 1
            continue
        bad.append(f"{name}:\n{tail(text, 30)}")
    if bad or not passed:
        raise Failed("\n".join(bad) or "no fuzz target was built", max(1, len(bad)), passed)
    return Outcome(passed=passed)


def check_metrics(context):
    """docs/metrics.md is what the codec's table gives."""
    made = subprocess.run([f"{context.plain}/src/util/metrics-doc"], check=True, stdout=subprocess.PIPE, text=True).stdout
    with open(f"{TOP}/docs/metrics.md", encoding="utf-8") as file:
        if file.read() != made:
            raise Failed("docs/metrics.md is not what src/util/metric_docs.cpp says; run: ninja -C BUILD metrics-doc, then it "
                         "with its output to docs/metrics.md")
    return Outcome(passed=1)


def check_debian(context):
    """Each series on top of the patches of the Debian release that has this version."""
    for version in build.VERSIONS:
        context.step(f"Debian's {version}", [f"{TOP}/tools/build-libvirt", "--debian", "--apply", version])
    return Outcome(passed=len(build.VERSIONS))


def check_libvirt(context):
    """libvirt's own tests on each series, or on each prefix of it; what passed once is not run again."""
    passed = 0
    for version in build.VERSIONS:
        option = "--each-patch" if context.each_patch else "--test"
        _, text = context.step(f"libvirt {version}'s tests", [f"{TOP}/tools/build-libvirt", option, version])
        found = re.findall(r"(\d+) of libvirt's tests passed", text)
        if not found:
            raise Failed(f"libvirt {version}: no tests were run:\n{tail(text)}", passed=passed)
        passed += sum(map(int, found))
    return Outcome(passed=passed)


def check_live(context, version):
    status, text = context.step(f"live {version}", ["/usr/bin/python3", "-B", f"{TOP}/tests/live/run.py", "--prefix",
                                                    context.prefix(version), "--build", context.plain], check=False)
    counts = re.search(r"(?m)^(\d+) passed, (\d+) failed", text)
    passed, failed = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    if status != 0 or failed or not passed:
        shown = "\n".join(line for line in text.splitlines() if not line.startswith(("ok ", "skip ")))
        raise Failed(tail(shown, 200), max(1, failed), passed)
    return Outcome(passed=passed, skipped=re.findall(r"(?m)^skip (.*)", text),
                   again=re.findall(r"(?m)^again (.*(?:\n    .*)*)", text))


def check_bench(context):
    """The figures exist and can be; what they are worth, only a run without --quick on a quiet machine can tell."""
    status, text = context.step("bench", ["/usr/bin/python3", "-B", f"{TOP}/tests/bench/bench.py", "--quick"], check=False)
    figures = re.search(r"(?m)^bench: (\d+) figures", text)
    if status != 0 or not figures:
        raise Failed(tail(text))
    return Outcome(passed=int(figures[1]), skipped=re.findall(r"(?m)^bench: (no .*)", text))


def check_faults(context):
    """A fiftieth of tests/faults/run, parsers left out, which have a suite of their own."""
    status, text = context.step("faults", ["/usr/bin/python3", "-B", f"{TOP}/tests/faults/faults.py", "--scale", "0.02",
                                           *(word for name in ("churn", "kill", "stop", "die") for word in ("--only", name))],
                                check=False)
    passed, failed = (len(re.findall(f"(?m)^{word} ", text)) for word in ("ok", "not ok"))
    if status != 0 or failed or not passed:
        raise Failed(tail(text), max(1, failed), passed)
    return Outcome(passed=passed, again=re.findall(r"(?m)^again (.*(?:\n    .*)*)", text))


POWER_HOST = f"{TOP}/tests/power-host"
POWER_HOST_MIB = 4096  # of the machine, QEMU's own included
NO_KERNEL = 69  # status of tests/power-host/run


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"(?m)^MemAvailable:\s+(\d+) kB", file.read())[1]) // 1024


def power_host_is_impossible(context):
    """Why this machine cannot run it, or an empty string. Prepares it, if it can."""
    if not shutil.which("qemu-system-x86_64"):
        return "there is no qemu-system-x86_64"
    if (mib := available_mib()) < POWER_HOST_MIB:
        return f"{mib} MiB of memory are free, and {POWER_HOST_MIB} are needed"
    status, text = context.step("power host: preparation", [f"{POWER_HOST}/run", "--prepare"], check=False)
    if status == NO_KERNEL:
        return f"no kernel package is to be had ({text.strip().splitlines()[-1]})"
    if status != 0:
        raise Failed(tail(text))
    return ""


class PowerHost:
    """Runs of the simulated machine, counted together. What a configuration has not got is no skip to be told."""

    def __init__(self, context):
        self.context = context
        self.passed, self.failed, self.skipped, self.again, self.texts = 0, 0, [], [], []

    def _count(self, title, status, text):
        passed, failed = (len(re.findall(f"(?m)^{word} ", text)) for word in ("ok", "not ok"))
        self.passed += passed
        self.again += re.findall(r"(?m)^again (.*(?:\n    .*)*)", text)
        self.skipped += [reason for reason in re.findall(r"(?m)^skip (.*)", text) if ": the configuration " not in reason]
        if status != 0 or not passed:
            self.failed += max(1, failed)
            shown = "\n".join(line for line in text.splitlines() if not line.startswith(("ok ", "skip ")))
            self.texts.append(f"{title}, status {status}:\n{tail(shown, 100)}")

    def boot(self, config, *scripts):
        """One boot for all of the scripts, each with its arguments."""
        commands = "; ".join(f"/usr/bin/python3 -B {shlex.join(words)} || status=1" for words in scripts)
        title = f"power host: {config}, {' '.join(os.path.basename(os.path.dirname(words[0])) for words in scripts)}"
        status, text = self.context.step(title, [f"{POWER_HOST}/run", "--config", config, "--timeout", "1800", "sh", "-c",
                                                 f"status=0; {commands}; exit $status"], check=False)
        self._count(title, status, text)

    def accuracy(self, *arguments):
        """Its end tells. Like other tests it has a second attempt, since a machine that stands still moves counts apart."""
        argv = [f"{POWER_HOST}/accuracy", "--build", self.context.plain, *arguments]
        status, text = self.context.step("power host: accuracy", argv, check=False)
        if status != 0:
            self.again.append("accuracy\n    " + tail(text, 5).replace("\n", "\n    "))
            status, text = self.context.step("power host: accuracy, second attempt", argv, check=False)
        self._count("accuracy", status, text + ("\nok accuracy\n" if status == 0 else ""))

    def runner(self):
        """Tests of the runner itself, outside of the machine."""
        status, text = self.context.step("power host: the runner", ["/usr/bin/python3", "-B", f"{POWER_HOST}/selftest_runner.py"],
                                         check=False)
        self._count("the runner", status, text)

    def outcome(self):
        if self.failed:
            raise Failed("\n".join(self.texts), self.failed, self.passed)
        return Outcome(passed=self.passed, skipped=self.skipped, again=self.again)


def check_power_host(context):
    """One machine and a little of the accuracy table; with --all every machine, every libvirt and all of it."""
    if reason := power_host_is_impossible(context):
        return Outcome(not_run=reason)
    host = PowerHost(context)
    selftest = [f"{POWER_HOST}/selftest/run.py"]
    live = [f"{POWER_HOST}/live/run.py", "--build", context.plain]
    listed = subprocess.run([f"{POWER_HOST}/run", "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    first = "two-packages"
    chain = ["--prefix", context.prefix(build.LIBVIRT)]
    if not context.everything:
        host.boot(first, [*selftest, "--quick"], [*live, *chain, "--quick"])
        host.accuracy("--quick")
        return host.outcome()
    host.boot(first, selftest, [*live, *chain])
    for config in (line.split()[0] for line in listed.splitlines()):
        if config != first:
            host.boot(config, selftest, live)
    host.boot(first, [*live, "--only", "lockdown"])
    for version in build.VERSIONS:
        if version != build.LIBVIRT:
            host.boot(first, [*live, "--prefix", context.prefix(version), "--only", "chain"])
    host.runner()
    host.accuracy()
    return host.outcome()


ALL = [
    Suite("format", "clang-format", check_format),
    Suite("licenses", "SPDX lines and licence texts", check_licenses),
    Suite("patches", "series and headers of the patches", check_patches),
    Suite("debian", "the patches on top of Debian's own", check_debian),
    Suite("build", "warnings are errors", check_build),
    Suite("metrics", "docs/metrics.md is up to date", check_metrics),
    Suite("unit", "unit, CLI and ABI tests with ASan and UBSan", check_unit),
    Suite("fuzz", f"each parser for {FUZZ_SECONDS} s", check_fuzz),
    Suite("libvirt", "libvirt's own tests with the patches", check_libvirt, slow=True),
    Suite("live", "real daemon, real guests", functools.partial(check_live, version="11.3.0")),
    Suite("live-9.0.0", "the same with libvirt 9.0.0", functools.partial(check_live, version="9.0.0"), slow=True),
    Suite("faults", "daemons and guests that fail, for a short while", check_faults),
    Suite("power-host", "a simulated machine with energy counters", check_power_host),
    Suite("bench", "tests/bench with few guests", check_bench),
    Suite("tidy", "clang-tidy", check_tidy, slow=True),
]
