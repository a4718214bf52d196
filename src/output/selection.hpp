// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Which rows are shown, in what order, and what they add up to since the start.
#ifndef VIRT_POWER_OUTPUT_SELECTION_HPP
#define VIRT_POWER_OUTPUT_SELECTION_HPP

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "virt-power/interval.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {

struct ShownRow {
    const Interval* interval = nullptr;
    const Row* row = nullptr;
    std::optional<double> power_w;
    std::optional<uint64_t> total_uj;  ///< since the sink's start
};

class Selection {
public:
    explicit Selection(const SinkOptions& options);

    /// Domains in the order wanted, then the other rows host by host. Books the
    /// energy of all rows, shown or not.
    std::vector<ShownRow> take(std::span<const Interval> intervals);

private:
    [[nodiscard]] bool is_shown(const Row& row) const;
    void add(std::vector<ShownRow>& rows, const Interval& interval, const Row& row);
    uint64_t book(const Interval& interval, const Row& row);
    void sort_domains(std::vector<ShownRow>& rows) const;

    SortKey sort_;
    std::unordered_set<std::string> names_;  ///< as given
    std::unordered_set<std::string> uuids_;  ///< of those given that are one, canonical
    std::unordered_map<std::string, uint64_t> totals_uj_;
    std::string key_;  ///< of book(), kept for its memory
};

inline bool is_domain(const Row& row) { return row.kind == RowKind::Domain || row.kind == RowKind::Departed; }

}  // namespace virt_power

#endif
