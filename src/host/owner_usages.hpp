// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What each owner used, as one reading gave it.
#ifndef VIRT_POWER_HOST_OWNER_USAGES_HPP
#define VIRT_POWER_HOST_OWNER_USAGES_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "virt-power/reading.hpp"

namespace virt_power {

/// Chosen by the caller; never used twice.
using OwnerId = uint64_t;

struct OwnerUsage {
    std::vector<Usage> packages;  ///< by package index
    UsageSource source = UsageSource::Proc;
    std::vector<Usage> helpers = {};  ///< as DomainUsage::helpers
};

/// All in two pieces of memory, however many there are: a host's domains are read each second, and memory for
/// each would take longer than to read it.
class OwnerUsages {
    [[nodiscard]] size_t width() const { return 2 * packages_; }
    template <typename Usages>
    [[nodiscard]] auto part(Usages& usages, size_t row, size_t from) const {
        return std::span(usages).subspan(row * width() + from, packages_);
    }

public:
    explicit OwnerUsages(size_t packages = 0) : packages_(packages) {}

    void reserve(size_t owners) {
        rows_.reserve(owners);
        usages_.reserve(owners * width());
    }

    /// Zeros, to be filled in through packages_of() and helpers_of(). Later owners have greater ids.
    size_t add(OwnerId id, UsageSource source, bool has_helpers) {
        rows_.push_back({id, source, has_helpers});
        usages_.resize(usages_.size() + width());
        return rows_.size() - 1;
    }

    void add(OwnerId id, const OwnerUsage& usage) {
        size_t row = add(id, usage.source, !usage.helpers.empty());
        std::copy_n(usage.packages.begin(), std::min(usage.packages.size(), packages_),
                    packages_of(row).begin());
        std::copy_n(usage.helpers.begin(), std::min(usage.helpers.size(), packages_),
                    helpers_of(row).begin());
    }

    [[nodiscard]] size_t size() const { return rows_.size(); }
    [[nodiscard]] std::optional<size_t> find(OwnerId id) const {
        auto place = std::lower_bound(rows_.begin(), rows_.end(), id,
                                      [](const Row& row, OwnerId wanted) { return row.id < wanted; });
        if (place == rows_.end() || place->id != id) return std::nullopt;
        return static_cast<size_t>(place - rows_.begin());
    }

    [[nodiscard]] UsageSource source_of(size_t row) const { return rows_[row].source; }
    /// By package index.
    [[nodiscard]] std::span<Usage> packages_of(size_t row) { return part(usages_, row, 0); }
    [[nodiscard]] std::span<const Usage> packages_of(size_t row) const { return part(usages_, row, 0); }
    /// As DomainUsage::helpers.
    [[nodiscard]] std::span<Usage> helpers_of(size_t row) {
        return rows_[row].has_helpers ? part(usages_, row, packages_) : std::span<Usage>();
    }
    [[nodiscard]] std::span<const Usage> helpers_of(size_t row) const {
        return rows_[row].has_helpers ? part(usages_, row, packages_) : std::span<const Usage>();
    }

private:
    struct Row {
        OwnerId id = 0;
        UsageSource source = UsageSource::Proc;
        bool has_helpers = false;
    };

    size_t packages_;
    std::vector<Row> rows_;
    std::vector<Usage> usages_;  ///< of each row, all its packages, then its helpers'
};

}  // namespace virt_power

#endif
