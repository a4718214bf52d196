// SPDX-License-Identifier: LGPL-2.1-or-later
#include "selection.hpp"

#include <algorithm>

#include "names.hpp"
#include "uuid.hpp"

namespace virt_power {
namespace {

/// Rows without a figure come last.
double order_of(const std::optional<double>& value) { return value.value_or(-1); }

double order_of(const std::optional<uint64_t>& value) { return value ? static_cast<double>(*value) : -1; }

}  // namespace

bool means_domain(std::string_view word, const Row& row) {
    return is_domain(row) && (word == row.name || canonical_uuid(word) == row.uuid);
}

Selection::Selection(const SinkOptions& options) : sort_(options.sort) {
    for (const std::string& domain : options.domains) {
        names_.insert(domain);
        if (std::optional<std::string> uuid = canonical_uuid(domain)) uuids_.insert(*std::move(uuid));
    }
}

bool Selection::is_shown(const Row& row) const {
    if (names_.empty()) return true;
    return is_domain(row) && (names_.contains(row.name) || uuids_.contains(row.uuid));
}

/// A domain's total goes on when it departs; a new instance begins at zero.
uint64_t Selection::book(const Interval& interval, const Row& row) {
    key_.clear();
    key_ += interval.uri;
    key_ += '\0';
    key_ += is_domain(row) ? name_of(RowKind::Domain) : name_of(row.kind);
    key_ += row.uuid;
    key_ += '\0';
    key_ += std::to_string(row.instance.value_or(0));
    uint64_t& total = totals_uj_[key_];
    total += row.energy_uj.value_or(0);
    uint64_t result = total;
    if (row.kind == RowKind::Departed) totals_uj_.erase(key_);
    return result;
}

void Selection::add(std::vector<ShownRow>& rows, const Interval& interval, const Row& row) {
    ShownRow shown{&interval, &row, std::nullopt, std::nullopt};
    uint64_t total = book(interval, row);
    if (!is_shown(row)) return;
    if (row.energy_uj) {
        shown.power_w = power_w(*row.energy_uj, interval.duration_ns);
        shown.total_uj = total;
    }
    rows.push_back(shown);
}

void Selection::sort_domains(std::vector<ShownRow>& rows) const {
    auto before = [this](const ShownRow& a, const ShownRow& b) {
        double left = 0, right = 0;
        if (sort_ == SortKey::Watts) left = order_of(a.power_w), right = order_of(b.power_w);
        if (sort_ == SortKey::Energy) left = order_of(a.total_uj), right = order_of(b.total_uj);
        // CPU also decides where there is no energy.
        if (left == right && sort_ != SortKey::Name)
            left = order_of(a.row->cpu_share), right = order_of(b.row->cpu_share);
        if (left != right) return left > right;
        if (a.row->name != b.row->name) return a.row->name < b.row->name;
        return a.row->uuid < b.row->uuid;
    };
    std::stable_sort(rows.begin(), rows.end(), before);
}

std::vector<ShownRow> Selection::take(std::span<const Interval> intervals) {
    std::vector<ShownRow> rows, others;
    for (const Interval& interval : intervals)
        for (const Row& row : interval.rows) add(is_domain(row) ? rows : others, interval, row);
    sort_domains(rows);
    rows.insert(rows.end(), others.begin(), others.end());
    return rows;
}

}  // namespace virt_power
