// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The table as lines of text.
#ifndef VIRT_POWER_OUTPUT_TABLE_TEXT_HPP
#define VIRT_POWER_OUTPUT_TABLE_TEXT_HPP

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "selection.hpp"
#include "table_head.hpp"
#include "virt-power/interval.hpp"

namespace virt_power {

struct TableText {
    std::vector<HeadLine> head;        ///< of each host, then the columns' names
    std::vector<std::string> domains;  ///< one line per domain
    std::vector<std::string> others;   ///< rest of host, hidden domains, static power
};

/// What one tick shows, before it is fitted to a width.
class Table {
public:
    Table() = default;
    /// `rows` are of these intervals, domains first.
    Table(const std::vector<Interval>& intervals, const std::vector<ShownRow>& rows, bool host_column,
          bool terminal);

    /// Within so many columns long names are cut rather than figures, and the last columns are
    /// left out if even so there is no room. A line may still be longer. Without a width: all.
    [[nodiscard]] TableText lay_out(std::optional<size_t> width) const;

private:
    static constexpr size_t columns = 9;
    enum Column : size_t {
        HostName,
        Name,
        Watts,
        Joules,
        EnergyShare,
        CpuShare,
        HelperWatts,
        BasisColumn,
        SourceColumn
    };

    struct Line {
        std::array<std::string, columns> cells;
        std::string_view mark;  ///< stands after the name, however that is cut
        bool domain = false;
    };
    struct Layout {
        std::array<size_t, columns> widths{};
        size_t end = columns;  ///< columns from here on are left out
    };

    static Line header_of(const std::vector<Interval>& intervals);
    static Line line_of(const ShownRow& shown);
    [[nodiscard]] bool has_column(size_t column) const {
        return column == HostName ? host_column_ : column != HelperWatts || helper_column_;
    }
    [[nodiscard]] Layout natural() const;
    [[nodiscard]] Layout fit(std::optional<size_t> width) const;
    [[nodiscard]] std::string join(const Line& line, const Layout& layout) const;

    bool host_column_ = false;
    bool helper_column_ = false;  ///< some row has such watts
    std::vector<HostHead> heads_;
    std::vector<Line> lines_;  ///< the first is the header; none without intervals
};

}  // namespace virt_power

#endif
