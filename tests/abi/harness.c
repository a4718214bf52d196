/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads the plugin as a daemon does and drives its ABI, in C: processes of its
 * own stand in for QEMU. Says `ok` or `not ok` for each expectation; the exit
 * status is that of all. Meant to be built with sanitizers, together with the
 * plugin.
 *
 * usage: harness PLUGIN.so CONFIG-DIRECTORY PRIVILEGED
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "virt-power/host_power_plugin.h"

static int failures;
static int tests;
static int warnings;

static void expect(int condition, const char* what) {
    tests++;
    printf("%s %d - %s\n", condition ? "ok" : "not ok", tests, what);
    fflush(stdout);
    if (!condition) failures++;
}

static void log_line(void* opaque, HostPowerLogLevel level, const char* message) {
    (void)opaque;
    printf("# log %d: %s\n", (int)level, message);
    if (level >= HOST_POWER_LOG_WARN) warnings++;
}

/* What one call of an emitter gave. */
struct record {
    int count;
    int stop_after; /* 0: never */
    uint64_t instance;
    uint64_t time_ns;      /* of package 0, the domain's own */
    uint64_t vms_time_ns;  /* of package 0 */
    uint64_t host_time_ns; /* of package 0 */
    uint64_t epoch;
    uint64_t energy_uj; /* of zone 0 */
    uint64_t departed_time_ns;
    unsigned int departed;
    unsigned int domains;
    char usage[16];
    char departed_name[32];
};

static int emit(void* opaque, const char* name, HostPowerType type, const HostPowerValue* value) {
    struct record* record = opaque;

    record->count++;
    if (!strcmp(name, "energy.instance") && type == HOST_POWER_ULLONG)
        record->instance = value->ul;
    else if (!strcmp(name, "energy.package.0.time") && type == HOST_POWER_ULLONG)
        record->time_ns = value->ul;
    else if (!strcmp(name, "energy.package.0.vms.time") && type == HOST_POWER_ULLONG)
        record->vms_time_ns = value->ul;
    else if (!strcmp(name, "energy.package.0.host.time") && type == HOST_POWER_ULLONG)
        record->host_time_ns = value->ul;
    else if (!strcmp(name, "energy.host.epoch") && type == HOST_POWER_ULLONG)
        record->epoch = value->ul;
    else if (!strcmp(name, "energy.host.domains") && type == HOST_POWER_UINT)
        record->domains = value->ui;
    else if (!strcmp(name, "energy.zone.0.energy") && type == HOST_POWER_ULLONG)
        record->energy_uj = value->ul;
    else if (!strcmp(name, "energy.departed.count") && type == HOST_POWER_UINT)
        record->departed = value->ui;
    else if (!strcmp(name, "energy.departed.0.package.0.time") && type == HOST_POWER_ULLONG)
        record->departed_time_ns = value->ul;
    else if (!strcmp(name, "energy.host.usage") && type == HOST_POWER_STRING)
        snprintf(record->usage, sizeof(record->usage), "%s", value->s);
    else if (!strcmp(name, "energy.departed.0.name") && type == HOST_POWER_STRING)
        snprintf(record->departed_name, sizeof(record->departed_name), "%s", value->s);
    return record->stop_after && record->count >= record->stop_after;
}

static int visible(void* opaque, const unsigned char* uuid, const char* name) {
    (void)opaque;
    (void)uuid;
    return strcmp(name, "hidden") != 0;
}

static void sleep_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* A child that spins until it is killed, as a vCPU does. */
static pid_t start_spinner(void) {
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
            __asm__ volatile("");
        }
    }
    return pid;
}

/* What the kernel says that it used. */
static uint64_t cpu_ns(pid_t pid) {
    clockid_t clock;
    struct timespec time = {0};

    if (clock_getcpuclockid(pid, &clock) == 0) clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void end_spinner(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct record read_domain(const HostPowerPlugin* plugin, HostPower* power, const unsigned char* uuid) {
    struct record record = {0};
    HostPowerSnapshot* snapshot = plugin->snapshot(power, 0);

    if (strcmp(plugin->snapshot_status(snapshot), "ok"))
        printf("# status %s\n", plugin->snapshot_status(snapshot));
    plugin->emit_host(snapshot, visible, emit, &record);
    plugin->emit_domain(snapshot, uuid, emit, &record);
    plugin->snapshot_free(snapshot);
    return record;
}

static int runs_besides(const HostPowerPlugin* plugin, HostPower* power, const unsigned char* uuids,
                        size_t n) {
    HostPowerSnapshot* snapshot = plugin->snapshot(power, 0);
    int others = plugin->has_others(snapshot, uuids, n);

    plugin->snapshot_free(snapshot);
    return others;
}

static void check_life(const HostPowerPlugin* plugin, HostPower* power) {
    static const unsigned char uuid[HOST_POWER_UUID_LENGTH] = {1, 2, 3};
    static const unsigned char hidden[HOST_POWER_UUID_LENGTH] = {9};
    unsigned char both[2 * HOST_POWER_UUID_LENGTH];
    pid_t spinner = start_spinner();
    pid_t other = start_spinner();
    struct record first, second, last;
    uint64_t own_ns, kernel_ns;

    expect(plugin->domain_started(power, uuid, "spin", spinner) == 0,
           "a process is counted from domain_started");
    expect(plugin->domain_started(power, uuid, "spin", spinner) == 0,
           "the same process again is no new start");
    first = read_domain(plugin, power, uuid);
    kernel_ns = cpu_ns(spinner);
    sleep_ms(1000);
    second = read_domain(plugin, power, uuid);
    kernel_ns = cpu_ns(spinner) - kernel_ns;
    own_ns = second.time_ns - first.time_ns;
    printf("# usage %s: %" PRIu64 " ns, by its CPU clock %" PRIu64 " ns\n", second.usage, own_ns, kernel_ns);
    expect(first.instance != 0 && first.instance == second.instance,
           "the instance stays while the process lives");
    expect(first.epoch != 0 && first.epoch == second.epoch, "the epoch stays while the plugin is open");
    expect(own_ns > 50000000, "a process that spins uses CPU time");
    /* The two are read one after the other, with a tick of 10 ms at the most between them. */
    expect(own_ns < kernel_ns + kernel_ns / 20 + 10000000 && kernel_ns < own_ns + own_ns / 20 + 10000000,
           "as much as its CPU clock says");
    expect(second.vms_time_ns >= second.time_ns, "all domains have at least what one has");
    expect(second.host_time_ns >= second.vms_time_ns, "the host has at least what its domains have");
    expect(second.energy_uj > first.energy_uj, "modelled energy moves");
    expect(second.domains == 1, "one domain runs");
    expect(runs_besides(plugin, power, uuid, 1) == 0, "no other one runs");
    expect(runs_besides(plugin, power, hidden, 1) == 1, "it is another one than one that does not run");
    expect(runs_besides(plugin, power, NULL, 0) == 1, "it runs besides none");

    expect(plugin->domain_started(power, hidden, "hidden", other) == 0, "a second process is counted");
    expect(runs_besides(plugin, power, uuid, 1) == 1, "which runs besides the first one");
    memcpy(both, uuid, sizeof(uuid));
    memcpy(both + sizeof(uuid), hidden, sizeof(hidden));
    expect(runs_besides(plugin, power, both, 2) == 0, "none runs besides both");
    end_spinner(other);
    plugin->domain_stopped(power, hidden);
    end_spinner(spinner);
    plugin->domain_stopped(power, uuid);
    plugin->domain_stopped(power, uuid);
    last = read_domain(plugin, power, uuid);
    expect(last.instance == 0, "a domain that ended has no record");
    expect(last.departed == 1, "of two that departed only the visible one is named");
    expect(!strcmp(last.departed_name, "spin"), "it has its name");
    expect(last.departed_time_ns >= second.time_ns, "it keeps what it used");
    expect(last.vms_time_ns >= last.departed_time_ns, "departed domains stay in the sum of all");
    expect(last.host_time_ns >= second.host_time_ns, "the host's time never goes back");
}

static void check_bad_input(const HostPowerPlugin* plugin, HostPower* power) {
    static const unsigned char uuid[HOST_POWER_UUID_LENGTH] = {7};
    struct record record = {0};
    HostPowerSnapshot* snapshot;
    int before = warnings;

    expect(plugin->domain_started(power, uuid, "gone", 0x3ffffff) == -1,
           "a process that does not exist is refused");
    expect(warnings == before + 1, "one warning says so");
    expect(plugin->domain_started(power, NULL, "x", 1) == -1, "no uuid is refused");
    expect(plugin->domain_started(NULL, uuid, "x", 1) == -1, "no handle is refused");
    expect(plugin->domain_started(power, uuid, "x", -5) == -1, "a negative pid is refused");
    expect(plugin->snapshot(NULL, 0) == NULL, "no handle gives no snapshot");
    expect(!strcmp(plugin->snapshot_status(NULL), "error"), "no snapshot is an error");
    expect(plugin->open(NULL) == NULL, "no options open nothing");
    expect(plugin->has_others(NULL, uuid, 1) == 0, "nothing runs in no snapshot");

    snapshot = plugin->snapshot(power, 0);
    record.stop_after = 3;
    expect(plugin->emit_host(snapshot, visible, emit, &record) == -1 && record.count == 3,
           "the receiver can stop it");
    plugin->snapshot_free(snapshot);
    plugin->snapshot_free(NULL);

    snapshot = plugin->snapshot(power, HOST_POWER_SNAPSHOT_READ_ONLY);
    memset(&record, 0, sizeof(record));
    expect(!strcmp(plugin->snapshot_status(snapshot), "denied"),
           "a read-only connection is denied by default");
    plugin->emit_host(snapshot, visible, emit, &record);
    plugin->emit_domain(snapshot, uuid, emit, &record);
    expect(record.count == 0, "and gets nothing");
    plugin->snapshot_free(snapshot);
}

/* What a call of knob_get() or knob_set() gave. */
struct answer {
    int params;
    int failures;
    HostPowerError error;
    char message[256];
};

static int take_param(void* opaque, const char* name, HostPowerType type, const HostPowerValue* value) {
    struct answer* answer = opaque;

    (void)type;
    (void)value;
    if (name[0]) answer->params++;
    return 0;
}

static void take_failure(void* opaque, HostPowerError error, const char* message) {
    struct answer* answer = opaque;

    answer->failures++;
    answer->error = error;
    snprintf(answer->message, sizeof(answer->message), "%s", message);
    printf("# refused with %d: %s\n", (int)error, message);
}

static struct answer get_knob(const HostPowerPlugin* plugin, HostPower* power, HostPowerKnob knob,
                              const char* target) {
    struct answer answer = {0};
    int result = plugin->knob_get(power, knob, target, 0, take_param, take_failure, &answer);

    expect(result == (answer.failures ? -1 : 0) && answer.failures <= 1, "knob_get fails with one sentence");
    return answer;
}

static struct answer set_knob(const HostPowerPlugin* plugin, HostPower* power, HostPowerKnob knob,
                              const char* target, const HostPowerParam* params, size_t nparams,
                              uint32_t flags) {
    struct answer answer = {0};
    int result = plugin->knob_set(power, knob, target, params, nparams, flags, "a test", take_param,
                                  take_failure, &answer);

    expect(result == (answer.failures ? -1 : 0) && answer.failures <= 1, "knob_set fails with one sentence");
    return answer;
}

/* Input that no host takes; which knobs this one has is the unit tests' matter. */
static void check_knobs(const HostPowerPlugin* plugin, HostPower* power) {
    static const HostPowerParam nothing = {"no-such-thing", HOST_POWER_ULLONG, {.ul = 1}};
    static const HostPowerParam text = {"max", HOST_POWER_STRING, {.s = "fast"}};
    static const HostPowerParam odd = {"max", (HostPowerType)42, {.ul = 1}};
    struct answer answer;

    answer = get_knob(plugin, power, HOST_POWER_KNOB_GOVERNOR, "0-");
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG, "half a list of CPUs is refused");
    answer = get_knob(plugin, power, HOST_POWER_KNOB_FREQUENCY, "../../../etc");
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG, "a path is no list of CPUs");
    answer = set_knob(plugin, power, HOST_POWER_KNOB_FREQUENCY, NULL, &nothing, 1, 0);
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG && strstr(answer.message, "min, max, set") != NULL,
           "a parameter that is not known is refused, and those known are told");
    answer = set_knob(plugin, power, HOST_POWER_KNOB_FREQUENCY, NULL, &text, 1, 0);
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG, "a parameter of another type is refused");
    answer = set_knob(plugin, power, HOST_POWER_KNOB_FREQUENCY, NULL, &odd, 1, 0);
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG, "so is one of a type that there is not");
    answer = set_knob(plugin, power, HOST_POWER_KNOB_FREQUENCY, NULL, NULL, 0, 0);
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG, "nothing to set is refused");
    answer = set_knob(plugin, power, HOST_POWER_KNOB_FREQUENCY, NULL, &nothing, 1, HOST_POWER_KNOB_RESTORE);
    expect(answer.error == HOST_POWER_ERROR_INVALID_ARG, "a restore sets nothing");
    answer = set_knob(plugin, power, HOST_POWER_KNOB_RAPL_LIMIT, NULL, NULL, 0, HOST_POWER_KNOB_RESTORE);
    expect(!answer.failures && answer.params == 1, "a restore of nothing says that it was nothing");
    expect(plugin->knob_get(power, (HostPowerKnob)9, NULL, 0, take_param, take_failure, &answer) == -1,
           "a knob that there is not is refused");
    expect(plugin->knob_get(NULL, HOST_POWER_KNOB_GOVERNOR, NULL, 0, take_param, take_failure, &answer) == -1,
           "no handle has no knobs");
}

/* Descriptors would stay open in QEMU. */
static void check_descriptors(void) {
    int bad = 0;

    for (int fd = 3; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags >= 0 && !(flags & FD_CLOEXEC)) bad++;
    }
    expect(bad == 0, "all descriptors are closed on exec");
}

int main(int argc, char** argv) {
    char state_dir[] = "/tmp/abi-harness.XXXXXX";
    HostPowerOptions options = {0};
    const HostPowerPlugin* plugin;
    HostPowerPluginFunc function;
    HostPower* power;
    void* library;
    void* symbol;

    if (argc != 4) {
        fprintf(stderr, "usage: %s PLUGIN.so CONFIG-DIRECTORY PRIVILEGED\n", argv[0]);
        return 2;
    }
    for (int fd = 3; fd < 1024; fd++) close(fd);
    if (!mkdtemp(state_dir)) return 2;
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    symbol = dlsym(library, HOST_POWER_PLUGIN_SYMBOL);
    memcpy(&function, &symbol, sizeof(function));
    plugin = function();
    expect(plugin->abi_version == HOST_POWER_PLUGIN_ABI_VERSION, "the ABI version is the header's");
    expect(plugin->struct_size == sizeof(HostPowerPlugin), "the table has the header's size");

    options.struct_size = sizeof(options);
    options.privileged = atoi(argv[3]);
    options.config_dir = argv[2];
    options.state_dir = state_dir;
    options.log = log_line;
    power = plugin->open(&options);
    expect(power != NULL, "it opens");
    if (!power) return 1;
    check_life(plugin, power);
    check_bad_input(plugin, power);
    check_knobs(plugin, power);
    check_descriptors();
    plugin->close(power);
    plugin->close(NULL);
    expect(rmdir(state_dir) == 0, "nothing was changed, so nothing is kept");
    printf("1..%d\n", tests);
    return failures ? 1 : 0;
}
