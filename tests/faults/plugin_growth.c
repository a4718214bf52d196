/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin alone, loaded as a daemon does it: does its heap grow with the
 * domains that come and go? Processes that sleep stand in for QEMU. A daemon's
 * own heap is too much in motion to tell.
 *
 * usage: plugin-growth PLUGIN.so CONFIG-DIRECTORY DOMAINS
 * Prints the bytes in use after as many as the plugin remembers and some more,
 * and after so many further ones.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "virt-power/host_power_plugin.h"

enum { WARM_UP = 3000, EACH_SAMPLE = 10 };

static void log_line(void* opaque, HostPowerLogLevel level, const char* message) {
    (void)opaque;
    if (level >= HOST_POWER_LOG_WARN) fprintf(stderr, "plugin-growth: %s\n", message);
}

static int emit(void* opaque, const char* name, HostPowerType type, const HostPowerValue* value) {
    (void)name;
    (void)type;
    (void)value;
    ++*(unsigned int*)opaque;
    return 0;
}

static int visible(void* opaque, const unsigned char* uuid, const char* name) {
    (void)opaque;
    (void)uuid;
    (void)name;
    return 1;
}

static int sample(const HostPowerPlugin* plugin, HostPower* power, const unsigned char* uuid) {
    unsigned int host = 0;
    unsigned int domain = 0;
    HostPowerSnapshot* snapshot = plugin->snapshot(power, 0);

    if (!snapshot) return -1;
    plugin->emit_host(snapshot, visible, emit, &host);
    plugin->emit_domain(snapshot, uuid, emit, &domain);
    plugin->snapshot_free(snapshot);
    return host > 0 && domain > 0 ? 0 : -1;
}

static int live_and_die(const HostPowerPlugin* plugin, HostPower* power, unsigned int number) {
    unsigned char uuid[16] = {0};
    int result;
    pid_t pid = fork();

    if (pid < 0) return -1;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (1) pause();
    }
    memcpy(uuid, &number, sizeof(number));
    result = plugin->domain_started(power, uuid, "a-name-that-is-too-long-to-stand-in-its-object", pid);
    if (result == 0 && number % EACH_SAMPLE == 0) result = sample(plugin, power, uuid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    plugin->domain_stopped(power, uuid);
    return result;
}

int main(int argc, char** argv) {
    /* It changes no knob, so nothing is kept there. */
    HostPowerOptions options = {.struct_size = sizeof(options),
                                .privileged = 1,
                                .config_dir = argc > 2 ? argv[2] : NULL,
                                .state_dir = argc > 2 ? argv[2] : NULL,
                                .log = log_line};
    const HostPowerPlugin* plugin;
    HostPowerPluginFunc entry;
    HostPower* power;
    unsigned int domains = argc == 4 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0;
    size_t before = 0;
    size_t after;
    void* library;
    void* symbol;

    if (domains == 0) {
        fprintf(stderr, "usage: plugin-growth PLUGIN.so CONFIG-DIRECTORY DOMAINS\n");
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    symbol = library ? dlsym(library, HOST_POWER_PLUGIN_SYMBOL) : NULL;
    if (!symbol) {
        fprintf(stderr, "plugin-growth: %s\n", dlerror());
        return 1;
    }
    memcpy(&entry, &symbol, sizeof(entry)); /* as POSIX has it, where ISO C has no cast */
    plugin = entry();
    power = plugin->open(&options);
    if (!power) return 1;
    for (unsigned int number = 0; number < WARM_UP + domains; number++) {
        if (number == WARM_UP) before = mallinfo2().uordblks;
        if (live_and_die(plugin, power, number) != 0) {
            fprintf(stderr, "plugin-growth: domain %u is not counted\n", number);
            return 1;
        }
    }
    after = mallinfo2().uordblks;
    printf("%zu %zu\n", before, after);
    plugin->close(power);
    return 0;
}
