// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Sinks that write to a file descriptor: JSON lines, CSV, a table.
///
/// A sink neither opens nor closes its descriptor. A descriptor that blocks is
/// waited for; SinkOptions::stop_fd ends the wait.
#ifndef VIRT_POWER_SINKS_HPP
#define VIRT_POWER_SINKS_HPP

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "virt-power/export.hpp"
#include "virt-power/pipeline.hpp"

namespace virt_power {

enum class SortKey {
    Watts,
    Energy,  ///< joules since the sink's start
    Cpu,
    Name,
};

struct SinkOptions {
    SortKey sort = SortKey::Watts;  ///< largest first, names in ascending order
    /// Names or UUIDs, as means_domain() takes them: only these domains' rows are written. Shares stay those
    /// of the whole host. Empty: all rows.
    std::vector<std::string> domains;
    int stop_fd = -1;  ///< readable: a write that would block gives up; -1: none
};

/// Does such a word mean this row: a domain's name, or its UUID, also in capitals or without
/// dashes? Since 0.1.
VIRT_POWER_API bool means_domain(std::string_view word, const Row& row);

/// One JSON object per interval and line, as in virt-power(1). Since 0.1.
VIRT_POWER_API std::unique_ptr<Sink> make_json_sink(int fd, const SinkOptions& options);

/// One line per row, with a header before the first. Since 0.1.
VIRT_POWER_API std::unique_ptr<Sink> make_csv_sink(int fd, const SinkOptions& options);

struct TableOptions {
    SinkOptions common;
    bool host_column = false;  ///< for more than one host
    /// Redraw in place on the terminal's alternate screen, which the sink leaves when
    /// it is destroyed; else each tick is appended, without escapes.
    bool terminal = false;
};

/// A table for people. Since 0.1.
VIRT_POWER_API std::unique_ptr<Sink> make_table_sink(int fd, const TableOptions& options);

/// The text with every control character, bidirectional control and invalid
/// byte shown as an escape (\n, \x1b, \u202e), so that it can do nothing to a terminal.
VIRT_POWER_API std::string escape_for_terminal(std::string_view text);

}  // namespace virt_power

#endif
