// SPDX-License-Identifier: LGPL-2.1-or-later
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "connection.hpp"

namespace virt_power {
namespace {

struct CloseConnection {
    void operator()(virConnectPtr connection) const { virConnectClose(connection); }
};
using ConnectionPtr = std::unique_ptr<virConnect, CloseConnection>;

struct FreeRecords {
    void operator()(virDomainStatsRecordPtr* records) const { virDomainStatsRecordListFree(records); }
};

struct FreeString {
    void operator()(char* text) const { std::free(text); }  // NOLINT: libvirt allocates by malloc
};
using OwnedString = std::unique_ptr<char, FreeString>;

/// Where trying again is of no use, whatever the daemon does.
ErrorKind kind_of(int code) {
    switch (code) {
        case VIR_ERR_AUTH_FAILED:
        case VIR_ERR_AUTH_CANCELLED:
        case VIR_ERR_AUTH_UNAVAILABLE:
        case VIR_ERR_ACCESS_DENIED:
        case VIR_ERR_OPERATION_DENIED:
            return ErrorKind::Denied;
        case VIR_ERR_NO_SUPPORT:
        case VIR_ERR_CONFIG_UNSUPPORTED:
        case VIR_ERR_OPERATION_UNSUPPORTED:
            return ErrorKind::Unsupported;
        case VIR_ERR_NO_CONNECT:
        case VIR_ERR_INVALID_ARG:
        case VIR_ERR_INVALID_CONN:
        case VIR_ERR_CONF_SYNTAX:
        case VIR_ERR_XML_ERROR:
            return ErrorKind::Malformed;
        default:
            return ErrorKind::Transient;
    }
}

/// libvirt keeps the last error per thread.
Error last_error(const std::string& what) {
    virErrorPtr error = virGetLastError();
    if (!error) return {ErrorKind::Transient, 0, what + ": libvirt gave no reason"};
    std::string message = error->message ? error->message : "libvirt gave no reason";
    for (char& c : message)
        if (c == '\n') c = ' ';
    int number = error->code == VIR_ERR_SYSTEM_ERROR ? error->int1 : 0;
    return {kind_of(error->code), number, what + ": " + message};
}

/// A socket that one may not open is a matter of permission, not of time.
Error open_error(const std::string& uri) {
    std::string shown = uri.empty() ? "libvirt" : uri;
    Error error = last_error("cannot connect to " + shown);
    if (error.error_number == EACCES || error.error_number == EPERM) error.kind = ErrorKind::Denied;
    if (error.kind == ErrorKind::Transient) error.kind = ErrorKind::Gone;
    return error;
}

Param param_of(const virTypedParameter& given) {
    Param param{given.field, {}};
    switch (given.type) {
        case VIR_TYPED_PARAM_INT:
            param.value.emplace<int32_t>(given.value.i);
            break;
        case VIR_TYPED_PARAM_UINT:
            param.value.emplace<uint32_t>(given.value.ui);
            break;
        case VIR_TYPED_PARAM_LLONG:
            param.value.emplace<int64_t>(given.value.l);
            break;
        case VIR_TYPED_PARAM_ULLONG:
            param.value.emplace<uint64_t>(given.value.ul);
            break;
        case VIR_TYPED_PARAM_DOUBLE:
            param.value.emplace<double>(given.value.d);
            break;
        case VIR_TYPED_PARAM_BOOLEAN:
            param.value.emplace<bool>(given.value.b != 0);
            break;
        case VIR_TYPED_PARAM_STRING:
            param.value.emplace<std::string>(given.value.s ? given.value.s : "");
            break;
        default:
            break;
    }
    return param;
}

/// Of what a record holds, only this is of use here.
bool is_wanted(std::string_view name) {
    return name.starts_with("energy.") || name == "cpu.time" || name == "vcpu.current" ||
           name == "balloon.current";
}

unsigned int bits_of(Groups groups) {
    switch (groups) {
        case Groups::Energy:
            return energy_stats_bit;
        case Groups::EnergyAndCpu:
            return energy_stats_bit | VIR_DOMAIN_STATS_CPU_TOTAL;
        case Groups::Allocation:
            break;
    }
    return VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_BALLOON;
}

class LibvirtConnection : public Connection {
public:
    explicit LibvirtConnection(ConnectionPtr connection) : connection_(std::move(connection)) {}

    HostFacts facts() override {
        HostFacts facts;
        if (OwnedString uri{virConnectGetURI(connection_.get())}) facts.uri = uri.get();
        if (OwnedString name{virConnectGetHostname(connection_.get())}) facts.hostname = name.get();
        unsigned int online = 0;
        virNodeInfo info{};
        if (virNodeGetCPUMap(connection_.get(), nullptr, &online, 0) >= 0)
            facts.cpus = online;
        else if (virNodeGetInfo(connection_.get(), &info) == 0)
            facts.cpus = info.cpus;
        return facts;
    }

    Result<std::vector<DomainRecord>> stats(Groups groups) override {
        unsigned int flags = VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
        if (groups != Groups::Energy) flags |= VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
        virDomainStatsRecordPtr* raw = nullptr;
        virResetLastError();
        int count = virConnectGetAllDomainStats(connection_.get(), bits_of(groups), &raw, flags);
        // Daemons before 4.5 and some drivers do not know the flag.
        if (count < 0 && groups == Groups::Allocation && virGetLastErrorCode() == VIR_ERR_INVALID_ARG)
            count = virConnectGetAllDomainStats(connection_.get(), bits_of(groups), &raw,
                                                VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
        if (count < 0) return stats_error();
        std::unique_ptr<virDomainStatsRecordPtr, FreeRecords> records(raw);
        std::vector<DomainRecord> result;
        result.reserve(static_cast<size_t>(count));
        for (int i = 0; i < count; ++i) result.push_back(record_of(*raw[i]));
        return result;
    }

private:
    Error stats_error() {
        Error error = last_error("the daemon gave no domain stats");
        if (virConnectIsAlive(connection_.get()) != 1) error.kind = ErrorKind::Gone;
        return error;
    }

    static DomainRecord record_of(const virDomainStatsRecord& given) {
        DomainRecord record;
        if (const char* name = virDomainGetName(given.dom)) record.name = name;
        std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
        if (virDomainGetUUIDString(given.dom, uuid.data()) == 0) record.uuid = uuid.data();
        record.params.reserve(static_cast<size_t>(given.nparams));
        for (int i = 0; i < given.nparams; ++i)
            if (is_wanted(given.params[i].field)) record.params.push_back(param_of(given.params[i]));
        return record;
    }

    ConnectionPtr connection_;
};

void initialise_libvirt() {
    static std::once_flag once;
    std::call_once(once, [] {
        virInitialize();
        virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    });
}

}  // namespace

Connector libvirt_connector() {
    return [](const std::string& uri, bool read_only) -> Result<std::unique_ptr<Connection>> {
        initialise_libvirt();
        virResetLastError();
        const char* name = uri.empty() ? nullptr : uri.c_str();
        ConnectionPtr connection(read_only ? virConnectOpenReadOnly(name) : virConnectOpen(name));
        if (!connection) return open_error(uri);
        return std::unique_ptr<Connection>(std::make_unique<LibvirtConnection>(std::move(connection)));
    };
}

}  // namespace virt_power
