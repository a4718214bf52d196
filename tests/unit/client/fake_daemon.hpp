// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A daemon that is played by a test.
#ifndef VIRT_POWER_TESTS_CLIENT_FAKE_DAEMON_HPP
#define VIRT_POWER_TESTS_CLIENT_FAKE_DAEMON_HPP

#include <memory>
#include <string>
#include <vector>

#include "connection.hpp"
#include "session.hpp"

namespace virt_power::test {

/// What the daemon does, and what it was asked.
struct FakeDaemon {
    std::string status_read_only = "ok";
    std::string status_read_write = "ok";
    std::optional<Error> refuses_read_only, refuses_read_write;  ///< to open
    std::optional<Error> stats_error;
    uint64_t coarse_ns = 0;  ///< read-only readings come no oftener
    bool has_domains = true;
    bool spoil_first_record = false;
    int64_t now_ns = 1'000'000'000;
    uint64_t instance = 5;  ///< of each domain
    std::optional<Error> allocation_error;
    std::vector<Param> alpha_given{{"vcpu.current", uint32_t{2}}, {"balloon.current", uint64_t{1 << 20}}};

    std::vector<std::string> calls;  ///< "open ro", "open rw", "energy", "energy+cpu", "allocation", "close"
};

class FakeConnection : public Connection {
public:
    FakeConnection(FakeDaemon& daemon, bool read_only) : daemon_(daemon), read_only_(read_only) {}
    FakeConnection(const FakeConnection&) = delete;
    FakeConnection& operator=(const FakeConnection&) = delete;
    ~FakeConnection() override { daemon_.calls.emplace_back("close"); }

    HostFacts facts() override { return {"qemu:///fake", "fakehost", 8}; }

    Result<std::vector<DomainRecord>> stats(Groups groups) override {
        if (groups == Groups::Allocation) return allocations();
        daemon_.calls.emplace_back(groups == Groups::Energy ? "energy" : "energy+cpu");
        if (daemon_.stats_error) return *daemon_.stats_error;
        std::vector<DomainRecord> records;
        if (!daemon_.has_domains) return records;
        records.push_back({"alpha", "uuid-alpha", {}});
        records.push_back({"beta", "uuid-beta", {}});
        std::string status = read_only_ ? daemon_.status_read_only : daemon_.status_read_write;
        bool first = true;
        for (DomainRecord& record : records) {
            fill(record, status, first, groups);
            first = false;
        }
        if (daemon_.spoil_first_record) records[0].params.push_back({"energy.host.epoch", std::string("x")});
        return records;
    }

private:
    /// beta it does not tell about.
    Result<std::vector<DomainRecord>> allocations() {
        daemon_.calls.emplace_back("allocation");
        if (daemon_.allocation_error) return *daemon_.allocation_error;
        return std::vector<DomainRecord>{{"alpha", "uuid-alpha", daemon_.alpha_given}};
    }

    void fill(DomainRecord& record, const std::string& status, bool first, Groups groups) const {
        auto sink = [&record](std::string_view name, const ParamValue& value) {
            record.params.push_back({std::string(name), value});
            return true;
        };
        if (!status.empty()) record.params.push_back({"energy.status", status});
        if (groups == Groups::EnergyAndCpu) record.params.push_back({"cpu.time", uint64_t{77}});
        if (status != "ok") return;
        HostReading host;
        host.epoch = 3;
        host.time_ns = static_cast<uint64_t>(daemon_.now_ns);
        host.packages.push_back({0, {200, {}}, {100, {}}});
        if (read_only_ && daemon_.coarse_ns != 0) host.interval_ns = daemon_.coarse_ns;
        if (first) encode_host(host, sink);
        DomainUsage usage;
        usage.instance = daemon_.instance;
        usage.packages.push_back({50, {}});
        encode_domain(usage, sink);
    }

    FakeDaemon& daemon_;
    bool read_only_;
};

inline Connector connector_to(FakeDaemon& daemon) {
    return [&daemon](const std::string&, bool read_only) -> Result<std::unique_ptr<Connection>> {
        daemon.calls.emplace_back(read_only ? "open ro" : "open rw");
        const std::optional<Error>& refusal =
            read_only ? daemon.refuses_read_only : daemon.refuses_read_write;
        if (refusal) return *refusal;
        return std::unique_ptr<Connection>(std::make_unique<FakeConnection>(daemon, read_only));
    };
}

inline Session session_to(FakeDaemon& daemon, bool read_only = false, bool allocations = false) {
    Clocks clocks{[&daemon] { return daemon.now_ns; }, [&daemon] { return daemon.now_ns + 5; }};
    return Session({"qemu:///given", read_only, allocations}, connector_to(daemon), clocks);
}

}  // namespace virt_power::test

#endif
