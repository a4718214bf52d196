// SPDX-License-Identifier: LGPL-2.1-or-later
#include "allocation_cache.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace virt_power {
namespace {

constexpr int64_t lifetime_ns = 60'000'000'000;

std::optional<uint64_t> number_of(const DomainRecord& record, std::string_view name) {
    for (const Param& param : record.params) {
        if (param.name != name) continue;
        if (const auto* value = std::get_if<uint64_t>(&param.value)) return *value;
        if (const auto* value = std::get_if<uint32_t>(&param.value)) return *value;
    }
    return std::nullopt;
}

}  // namespace

const AllocationCache::Given* AllocationCache::find(const DomainUsage& domain) const {
    auto found = given_.find(domain.uuid);
    return found != given_.end() && found->second.instance == domain.instance ? &found->second : nullptr;
}

bool AllocationCache::are_due(const Sample& sample, int64_t now_ns) const {
    if (!asked_ns_ || now_ns - *asked_ns_ >= lifetime_ns) return true;
    return std::any_of(sample.domains.begin(), sample.domains.end(),
                       [this](const DomainSample& domain) { return !find(domain.usage); });
}

void AllocationCache::take(const Sample& sample, const std::vector<DomainRecord>& records, int64_t now_ns) {
    std::unordered_map<std::string_view, const DomainRecord*> by_uuid;
    for (const DomainRecord& record : records) by_uuid.emplace(record.uuid, &record);
    std::unordered_map<std::string, Given> now;
    for (const DomainSample& domain : sample.domains) {
        const Given* before = find(domain.usage);
        Given given = before ? *before : Given{domain.usage.instance, {}, {}};
        auto found = by_uuid.find(domain.usage.uuid);
        if (found != by_uuid.end()) {
            std::optional<uint64_t> vcpus = number_of(*found->second, "vcpu.current");
            std::optional<uint64_t> memory_kib = number_of(*found->second, "balloon.current");
            if (vcpus && *vcpus <= std::numeric_limits<uint32_t>::max())
                given.vcpus = static_cast<uint32_t>(*vcpus);
            if (memory_kib) given.memory_kib = memory_kib;
        }
        now.emplace(domain.usage.uuid, given);
    }
    given_ = std::move(now);
    asked_ns_ = now_ns;
}

void AllocationCache::fill(Sample& sample) const {
    for (DomainSample& domain : sample.domains) {
        const Given* given = find(domain.usage);
        if (!given) continue;
        domain.vcpus = given->vcpus;
        domain.memory_kib = given->memory_kib;
    }
}

}  // namespace virt_power
