/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * host_power_plugin.h: the C ABI between a patched libvirt daemon and the
 * host power plugin.
 *
 * The daemon loads the plugin, calls host_power_plugin() once and from then
 * on only uses the table that it returned. The patch to libvirt carries this
 * file unchanged, so that libvirt builds without this project.
 *
 * Threads: every function may be called from any thread at any time, also at
 * once, between open() and close(). No function throws, none waits for a
 * sensor that hangs, and none keeps a pointer that it was given beyond the
 * call, except the log callback and its opaque.
 */
#ifndef HOST_POWER_PLUGIN_H
#define HOST_POWER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever a layout or a meaning below changes. */
#define HOST_POWER_PLUGIN_ABI_VERSION 3u

/* The one exported symbol, of type HostPowerPluginFunc. */
#define HOST_POWER_PLUGIN_SYMBOL "host_power_plugin"

#define HOST_POWER_UUID_LENGTH 16

/* Same values as libvirt's virTypedParameterType. */
typedef enum {
    HOST_POWER_INT = 1,
    HOST_POWER_UINT = 2,
    HOST_POWER_LLONG = 3,
    HOST_POWER_ULLONG = 4,
    HOST_POWER_DOUBLE = 5,
    HOST_POWER_BOOLEAN = 6,
    HOST_POWER_STRING = 7
} HostPowerType;

typedef union {
    int32_t i;
    uint32_t ui;
    int64_t l;
    uint64_t ul;
    double d;
    int32_t b;     /* boolean, 0 or 1 */
    const char *s; /* valid for the duration of the callback */
} HostPowerValue;

typedef enum {
    HOST_POWER_LOG_DEBUG = 1,
    HOST_POWER_LOG_INFO = 2,
    HOST_POWER_LOG_WARN = 3,
    HOST_POWER_LOG_ERROR = 4
} HostPowerLogLevel;

/* One line, without a newline. May be called from threads of the plugin's
 * own, until close() has returned. */
typedef void (*HostPowerLog)(void *opaque,
                             HostPowerLogLevel level,
                             const char *message);

/* Receives one stat or other parameter. Returns 0 to go on, anything else to stop. */
typedef int (*HostPowerEmit)(void *opaque,
                             const char *name,
                             HostPowerType type,
                             const HostPowerValue *value);

/* May the caller see this domain, which need not exist any more?
 * Returns 1 if so, else 0. */
typedef int (*HostPowerVisible)(void *opaque,
                                const unsigned char *uuid,
                                const char *name);

typedef struct {
    uint32_t struct_size;   /* sizeof(HostPowerOptions) of the daemon's build */
    int32_t privileged;     /* 0 for a session daemon: no BPF, no root-only file */
    const char *config_dir; /* where qemu.conf is; host-power.conf stands beside */
    const char *state_dir;  /* outlives the daemon, need not outlive a reboot; made if missing */
    HostPowerLog log;       /* never NULL */
    void *log_opaque;
} HostPowerOptions;

typedef enum {
    HOST_POWER_KNOB_GOVERNOR = 1,  /* target: CPUs as "0-3,8" */
    HOST_POWER_KNOB_FREQUENCY = 2, /* target: CPUs */
    HOST_POWER_KNOB_RAPL_LIMIT = 3 /* target: a zone's name */
} HostPowerKnob;

/* Flags of knob_get() and knob_set(). */
#define HOST_POWER_KNOB_READ_ONLY (1u << 0)    /* get: asked for over a read-only connection */
#define HOST_POWER_KNOB_RESTORE (1u << 1)      /* set: what stood before the first change */
#define HOST_POWER_KNOB_ALL_PACKAGES (1u << 2) /* set, RAPL_LIMIT without a target: all of them */

typedef struct {
    const char *name;
    HostPowerType type;
    HostPowerValue value;
} HostPowerParam;

/* Why a knob cannot be read or set. */
typedef enum {
    HOST_POWER_ERROR_INVALID_ARG = 1,       /* can never be right on this host */
    HOST_POWER_ERROR_UNSUPPORTED = 2,       /* no driver, no such interface */
    HOST_POWER_ERROR_OPERATION_INVALID = 3, /* the host's state forbids it */
    HOST_POWER_ERROR_SYSTEM = 4,            /* the kernel refused, or a file failed */
    HOST_POWER_ERROR_TIMEOUT = 5            /* the kernel did not answer in time */
} HostPowerError;

/* Called once by a function that fails: one sentence, what, where and what to do. */
typedef void (*HostPowerFail)(void *opaque,
                              HostPowerError error,
                              const char *message);

typedef struct HostPower HostPower;
typedef struct HostPowerSnapshot HostPowerSnapshot;

/* Flags of snapshot(). */
#define HOST_POWER_SNAPSHOT_READ_ONLY (1u << 0) /* asked for over a read-only connection */

typedef struct {
    uint32_t abi_version; /* HOST_POWER_PLUGIN_ABI_VERSION; checked before all else */
    uint32_t struct_size; /* sizeof(HostPowerPlugin) of the plugin's build */

    /* Returns NULL if it cannot work at all; the reason was logged. */
    HostPower *(*open)(const HostPowerOptions *options);

    /* Stops all threads but one that a sensor holds, frees all. NULL is allowed. */
    void (*close)(HostPower *power);

    /* QEMU's pid is known and its cgroup exists; before it runs, or, after a
     * daemon's restart, when the daemon has found it again. Counting starts
     * here. A uuid that is known already is taken as a new start when the
     * process is another one. Returns 0, or -1 if this domain cannot be counted
     * (logged): the guest starts all the same. */
    int (*domain_started)(HostPower *power,
                          const unsigned char *uuid,
                          const char *name,
                          int64_t pid);

    /* QEMU has ended. What it used is kept. Unknown uuids are ignored. */
    void (*domain_stopped)(HostPower *power, const unsigned char *uuid);

    /* Zones, host and all domains, taken together. Calls that arrive while one
     * is being taken share it. Never NULL but when memory is out; free with
     * snapshot_free(). */
    HostPowerSnapshot *(*snapshot)(HostPower *power, uint32_t flags);

    void (*snapshot_free)(HostPowerSnapshot *snapshot);

    /* "ok", "denied", "no-source" or "error"; static storage. Where it is not
     * "ok", the emitters may emit less or nothing. */
    const char *(*snapshot_status)(const HostPowerSnapshot *snapshot);

    /* What belongs into the first record of a call only: host, packages, zones
     * and departed domains, of those only the ones that visible() grants. */
    int (*emit_host)(const HostPowerSnapshot *snapshot,
                     HostPowerVisible visible,
                     HostPowerEmit emit,
                     void *opaque);

    /* What belongs into the record of this domain. Nothing for an unknown one. */
    int (*emit_domain)(const HostPowerSnapshot *snapshot,
                       const unsigned char *uuid,
                       HostPowerEmit emit,
                       void *opaque);

    /* Did other domains run than these, each once, one UUID behind the other?
     * Returns 1 if so, else 0. */
    int (*has_others)(const HostPowerSnapshot *snapshot,
                      const unsigned char *uuids,
                      size_t nuuids);

    /* What stands now, of the target or, where that is NULL, of all. Returns 0,
     * or -1 after fail(). */
    int (*knob_get)(HostPower *power,
                    HostPowerKnob knob,
                    const char *target,
                    uint32_t flags,
                    HostPowerEmit emit,
                    HostPowerFail fail,
                    void *opaque);

    /* All of it or, on a failure, nothing; a restore does as much as it can.
     * Emits what was changed, as the kernel reads afterwards. "who" is for the
     * log. Returns 0, or -1 after fail(). */
    int (*knob_set)(HostPower *power,
                    HostPowerKnob knob,
                    const char *target,
                    const HostPowerParam *params,
                    size_t nparams,
                    uint32_t flags,
                    const char *who,
                    HostPowerEmit emit,
                    HostPowerFail fail,
                    void *opaque);
} HostPowerPlugin;

typedef const HostPowerPlugin *(*HostPowerPluginFunc)(void);

#ifdef __cplusplus
}
#endif

#endif /* HOST_POWER_PLUGIN_H */
