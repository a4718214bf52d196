// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "names.hpp"
#include "utf8.hpp"

namespace virt_power {
namespace {

constexpr std::string_view ended_mark = " (ended)";
constexpr std::string_view gap = "  ";

std::string real_cell(const std::optional<double>& value, double factor, const char* format) {
    return value ? fmt::format(fmt::runtime(format), *value * factor) : "-";
}

/// No domain can be called so that its row looks like one of the rows below the domains, or
/// ended, or has figures in its name.
std::string domain_cell(const std::string& name) {
    std::string safe = escape_for_terminal(name);
    if (safe.ends_with(ended_mark)) safe.insert(safe.size() - ended_mark.size() + 1, 1, '\\');
    size_t start = safe.find_first_not_of(' ');
    if (start != std::string::npos && safe[start] == '(') safe.insert(start, 1, '\\');
    std::string cell;
    for (size_t i = 0; i < safe.size(); ++i) {
        bool unseen = i == 0 || i + 1 == safe.size() || safe[i - 1] == ' ';
        if (safe[i] == ' ' && unseen)
            cell += "\\x20";
        else
            cell += safe[i];
    }
    return cell;
}

std::string name_cell(const Row& row) {
    switch (row.kind) {
        case RowKind::Domain:
        case RowKind::Departed:
            return domain_cell(row.name);
        case RowKind::Other:
            return "(VMs that you may not see)";
        case RowKind::Host:
            return "(rest of the host)";
        case RowKind::Static:
            return "(static power)";
    }
    return "";
}

bool holds_idle(const Interval& interval) { return has_energy(interval) && interval.idle_included; }

bool is_plain_watts(const Interval& interval) { return has_energy(interval) && !interval.idle_included; }

}  // namespace

/// W+IDLE only where it is true of every figure below it; else the hosts say so themselves.
Table::Line Table::header_of(const std::vector<Interval>& intervals) {
    bool idle = std::any_of(intervals.begin(), intervals.end(), holds_idle) &&
                std::none_of(intervals.begin(), intervals.end(), is_plain_watts);
    return {{"HOST", "NAME", idle ? "W+IDLE" : "W", "J SINCE START", "ENERGY%", "CPU%", "HELPER W", "BASIS",
             "SOURCE"},
            ""};
}

Table::Line Table::line_of(const ShownRow& shown) {
    const Row& row = *shown.row;
    const Interval& interval = *shown.interval;
    std::optional<double> joules;
    if (shown.total_uj) joules = static_cast<double>(*shown.total_uj) / 1e6;
    std::string source = row.energy_uj ? escape_for_terminal(sources_of(interval)) : "-";
    std::optional<double> helper_w;
    if (row.helper_energy_uj) helper_w = power_w(*row.helper_energy_uj, interval.duration_ns);
    bool has_basis = row.cpu_time_ns.has_value();
    std::string basis = interval.weighed ? "weighed " : "";
    basis += interval.basis ? name_of(*interval.basis) : "cpu.time";
    return {{shown_host(interval), name_cell(row), real_cell(shown.power_w, 1, "{:.2f}"),
             real_cell(joules, 1, "{:.2f}"), real_cell(row.energy_share, 100, "{:.1f}"),
             real_cell(row.cpu_share, 100, "{:.1f}"), real_cell(helper_w, 1, "{:.2f}"),
             has_basis ? basis : "-", source},
            row.kind == RowKind::Departed ? ended_mark : "",
            is_domain(row)};
}

Table::Table(const std::vector<Interval>& intervals, const std::vector<ShownRow>& rows, bool host_column,
             bool terminal)
    : host_column_(host_column),
      helper_column_(std::any_of(rows.begin(), rows.end(), [](const ShownRow& shown) {
          return shown.row->helper_energy_uj.has_value();
      })) {
    lines_.reserve(rows.size() + 1);
    lines_.push_back(header_of(intervals));
    bool says_idle = lines_.front().cells[Watts] == "W+IDLE";
    for (const Interval& interval : intervals)
        heads_.emplace_back(interval, HeadStyle{host_column, terminal, !says_idle});
    for (const ShownRow& row : rows) lines_.push_back(line_of(row));
}

Table::Layout Table::natural() const {
    Layout layout;
    for (const Line& line : lines_)
        for (size_t i = 0; i < columns; ++i) {
            if (!has_column(i)) continue;
            size_t mark = i == Name ? line.mark.size() : 0;
            layout.widths[i] = std::max(layout.widths[i], display_width(line.cells[i]) + mark);
        }
    return layout;
}

Table::Layout Table::fit(std::optional<size_t> width) const {
    constexpr size_t least_name = 16, least_host = 8;
    Layout layout = natural();
    if (!width) return layout;
    size_t& name = layout.widths[Name];
    size_t& host = layout.widths[HostName];
    // What figures and the gaps between all columns take.
    size_t figures = host_column_ ? gap.size() : 0;
    for (size_t i = Watts; i < columns; ++i)
        if (has_column(i)) figures += gap.size() + layout.widths[i];
    size_t least = std::min(name, least_name) + (host_column_ ? std::min(host, least_host) : 0);
    while (layout.end > HelperWatts && figures + least > *width)
        if (has_column(--layout.end)) figures -= gap.size() + layout.widths[layout.end];
    size_t room = std::max(least, *width - std::min(*width, figures));
    // The host gets what the name leaves, or a third.
    if (host_column_)
        host = std::min(host, std::max({room - std::min(room, name), room / 3, std::min(host, least_host)}));
    name = std::min(name, room - (host_column_ ? host : 0));
    return layout;
}

std::string Table::join(const Line& line, const Layout& layout) const {
    std::string out;
    for (size_t i = 0; i < layout.end; ++i) {
        if (!has_column(i)) continue;
        std::string cell = line.cells[i];
        size_t width = layout.widths[i];
        if (i == HostName) cell = clip(cell, width);
        if (i == Name) cell = clip(cell, width - std::min(width, line.mark.size())) + std::string(line.mark);
        std::string padding(width - std::min(width, display_width(cell)), ' ');
        if (!out.empty()) out += gap;
        bool is_number = i >= Watts && i <= HelperWatts;
        out += is_number ? padding + cell : cell + padding;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

TableText Table::lay_out(std::optional<size_t> width) const {
    TableText text;
    if (lines_.empty()) return text;
    for (const HostHead& head : heads_) head.append_to(text.head, width);
    Layout layout = fit(width);
    text.head.push_back({join(lines_.front(), layout)});
    for (size_t i = 1; i < lines_.size(); ++i)
        (lines_[i].domain ? text.domains : text.others).push_back(join(lines_[i], layout));
    return text;
}

}  // namespace virt_power
