// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sample_maker.hpp"

#include <string_view>
#include <utility>

namespace virt_power {
namespace {

struct StatusText {
    std::string_view word;
    EnergyStatus status;
    std::string_view reason;
};

constexpr StatusText statuses[] = {
    // NOLINT: a table
    {"ok", EnergyStatus::Ok, ""},
    {"denied", EnergyStatus::Denied, "this connection may not see energy figures"},
    {"no-plugin", EnergyStatus::NoPlugin, "the daemon runs without the host power plugin"},
    {"no-source", EnergyStatus::NoSource, "this host has no energy counter that counts"},
    {"error", EnergyStatus::Error, "the plugin could not read the host's counters; see the daemon's log"},
    {"", EnergyStatus::NoGroup, "the daemon does not know the stats group energy"},
};

void set_status(Sample& sample, std::string_view word) {
    for (const StatusText& known : statuses) {
        if (known.word != word) continue;
        sample.status = known.status;
        sample.status_reason = known.reason;
        return;
    }
    sample.status = EnergyStatus::Error;
    sample.status_reason = "the daemon gave an energy.status that is not known: " + std::string(word);
}

std::optional<uint64_t> cpu_time_of(const DomainRecord& record) {
    for (const Param& param : record.params)
        if (param.name == "cpu.time")
            if (const auto* value = std::get_if<uint64_t>(&param.value)) return *value;
    return std::nullopt;
}

/// The status word alone, of a record that is otherwise malformed.
std::string status_word_of(const DomainRecord& record) {
    for (const Param& param : record.params)
        if (param.name == "energy.status")
            if (const auto* value = std::get_if<std::string>(&param.value)) return *value;
    return {};
}

void malformed(Sample& sample, const DomainRecord& record, const Error& error) {
    sample.notices.push_back("domain " + record.name +
                             ": its energy record cannot be read: " + error.message);
}

}  // namespace

void take_records(Sample& sample, const std::vector<DomainRecord>& records) {
    sample.domains.reserve(records.size());
    std::string malformed_host;
    std::string status;
    for (const DomainRecord& record : records) {
        DomainSample& domain = sample.domains.emplace_back();
        Result<DecodedRecord> decoded = decode_record(record.params);
        std::string word = decoded ? decoded->status : status_word_of(record);
        // The first that has it stands for the host: one before it may have ended as the reading was taken.
        bool tells = status.empty() && !word.empty();
        if (tells) status = word;
        if (!decoded) {
            malformed(sample, record, decoded.error());
            if (tells) malformed_host = decoded.error().message;
        } else {
            if (decoded->domain) domain.usage = std::move(*decoded->domain);
            if (decoded->host && !sample.reading) sample.reading = std::move(decoded->host);
        }
        domain.usage.name = record.name;
        domain.usage.uuid = record.uuid;
        domain.cpu_time_ns = cpu_time_of(record);
    }
    if (!records.empty()) set_status(sample, status);
    if (malformed_host.empty() || sample.status != EnergyStatus::Ok) return;
    sample.status = EnergyStatus::Error;
    sample.status_reason = "the daemon's energy record cannot be read: " + malformed_host;
}

}  // namespace virt_power
