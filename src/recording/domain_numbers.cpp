// SPDX-License-Identifier: LGPL-2.1-or-later
#include <utility>

#include "encoder.hpp"

namespace virt_power {

bool DomainNumbers::same(const Entry& entry, const DomainUsage& domain) {
    const NumberedDomain& known = entry.domain;
    return known.instance == domain.instance && known.usage_source == domain.usage_source &&
           known.uuid == domain.uuid && known.name == domain.name;
}

std::string DomainNumbers::key_of(const DomainUsage& domain) {
    std::string key = std::to_string(domain.instance);
    key += domain.usage_source ? (*domain.usage_source == UsageSource::Bpf ? 'b' : 'p') : '-';
    key += std::to_string(domain.uuid.size());
    key += ' ';
    key += domain.uuid;
    key += domain.name;
    return key;
}

uint32_t DomainNumbers::number_of(const DomainUsage& domain, std::vector<NumberedDomain>& fresh) {
    auto number = static_cast<uint32_t>(entries_.size());
    auto [found, added] = by_key_.try_emplace(key_of(domain), number);
    if (!added) return found->second;
    if (free_.empty()) {
        entries_.emplace_back();
    } else {
        number = free_.back();
        free_.pop_back();
        found->second = number;
    }
    entries_[number].domain = {number, domain.name, domain.uuid, domain.instance, domain.usage_source};
    fresh.push_back(entries_[number].domain);
    return number;
}

void DomainNumbers::free_unseen() {
    std::erase_if(by_key_, [this](const auto& known) {
        if (entries_[known.second].seen == time_) return false;
        free_.push_back(known.second);
        return true;
    });
}

void DomainNumbers::assign(const std::vector<DomainSample>& running, const std::vector<DomainUsage>& departed,
                           std::vector<NumberedDomain>& fresh) {
    ++time_;
    bool changed = running.size() != running_.size() || departed.size() != departed_.size();
    running_.resize(running.size(), UINT32_MAX);
    departed_.resize(departed.size(), UINT32_MAX);
    auto take = [&](uint32_t& number, const DomainUsage& domain) {
        // Mostly the lists are those of the last sample.
        if (number >= entries_.size() || !same(entries_[number], domain)) {
            number = number_of(domain, fresh);
            changed = true;
        }
        entries_[number].seen = time_;
    };
    for (size_t i = 0; i < running.size(); ++i) take(running_[i], running[i].usage);
    for (size_t i = 0; i < departed.size(); ++i) take(departed_[i], departed[i]);
    if (changed) free_unseen();
}

}  // namespace virt_power
