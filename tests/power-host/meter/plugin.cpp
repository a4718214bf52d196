// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>

#include "sample_maker.hpp"

namespace virt_power {
namespace {

using RawUuid = std::array<unsigned char, HOST_POWER_UUID_LENGTH>;

RawUuid raw_uuid(const std::string& text) {
    RawUuid raw{};
    size_t digits = 0;
    for (char digit : text) {
        if (digit == '-') continue;
        size_t place = digits++ / 2;
        if (place >= raw.size()) break;
        unsigned value = static_cast<unsigned>(std::stoi(std::string(1, digit), nullptr, 16));
        raw.at(place) = static_cast<unsigned char>(raw.at(place) << 4 | value);
    }
    if (digits != 2 * raw.size()) throw std::runtime_error("'" + text + "' is no UUID");
    return raw;
}

void log_line(void* /*opaque*/, HostPowerLogLevel level, const char* message) {
    if (level >= HOST_POWER_LOG_INFO) std::fprintf(stderr, "plugin: %s\n", message);
}

int visible(void* /*opaque*/, const unsigned char* /*uuid*/, const char* /*name*/) { return 1; }

ParamValue value_of(HostPowerType type, const HostPowerValue& value) {
    switch (type) {
        case HOST_POWER_INT:
            return value.i;
        case HOST_POWER_UINT:
            return value.ui;
        case HOST_POWER_LLONG:
            return value.l;
        case HOST_POWER_ULLONG:
            return value.ul;
        case HOST_POWER_DOUBLE:
            return value.d;
        case HOST_POWER_BOOLEAN:
            return value.b != 0;
        case HOST_POWER_STRING:
            return std::string(value.s);
    }
    throw std::runtime_error("the plugin gave a value of no known type");
}

int emit(void* opaque, const char* name, HostPowerType type, const HostPowerValue* value) {
    static_cast<std::vector<Param>*>(opaque)->push_back({name, value_of(type, *value)});
    return 0;
}

int64_t now_ns(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Plugin::Plugin(const std::string& path, std::string config_directory)
    : config_directory_(std::move(config_directory)) {
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void* symbol = library ? ::dlsym(library, HOST_POWER_PLUGIN_SYMBOL) : nullptr;
    if (!symbol) throw std::runtime_error(::dlerror());
    HostPowerPluginFunc entry = nullptr;
    std::memcpy(&entry, &symbol, sizeof(entry));
    table_ = entry();
    if (table_->abi_version != HOST_POWER_PLUGIN_ABI_VERSION)
        throw std::runtime_error(path + " has another version of the ABI");
    open();
}

Plugin::~Plugin() { close(); }

void Plugin::close() {
    if (power_) table_->close(std::exchange(power_, nullptr));
}

void Plugin::open() {
    // Its state directory names what outlives it in the BPF file system; knobs it changes none.
    HostPowerOptions options{sizeof(options),           1,        config_directory_.c_str(),
                             config_directory_.c_str(), log_line, nullptr};
    power_ = table_->open(&options);
    if (!power_) throw std::runtime_error("the plugin cannot be opened");
}

void Plugin::start(const Vm& vm) {
    if (table_->domain_started(power_, raw_uuid(vm.uuid).data(), vm.name.c_str(), vm.pid) != 0)
        throw std::runtime_error("the plugin does not count " + vm.name);
}

void Plugin::stop(const Vm& vm) { table_->domain_stopped(power_, raw_uuid(vm.uuid).data()); }

void Plugin::open(const std::vector<Vm>& running) {
    open();
    for (const Vm& vm : running) start(vm);
}

Sample Plugin::sample(const std::vector<Vm>& running) {
    Sample sample;
    sample.host = host_name();
    sample.uri = "meter:";
    sample.wall_ns = now_ns(CLOCK_REALTIME);
    sample.monotonic_ns = now_ns(CLOCK_MONOTONIC);
    sample.host_cpus = static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
    HostPowerSnapshot* snapshot = table_->snapshot(power_, 0);
    if (!snapshot) throw std::runtime_error("the plugin gave no snapshot");
    std::vector<DomainRecord> records;
    for (const Vm& vm : running) {
        DomainRecord& record = records.emplace_back(DomainRecord{vm.name, vm.uuid, {}});
        record.params.push_back({"energy.status", std::string(table_->snapshot_status(snapshot))});
        if (records.size() == 1) table_->emit_host(snapshot, visible, emit, &record.params);
        table_->emit_domain(snapshot, raw_uuid(vm.uuid).data(), emit, &record.params);
    }
    table_->snapshot_free(snapshot);
    take_records(sample, records);
    return sample;
}

}  // namespace virt_power
