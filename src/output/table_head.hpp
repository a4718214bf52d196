// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What stands above the table for each host.
#ifndef VIRT_POWER_OUTPUT_TABLE_HEAD_HPP
#define VIRT_POWER_OUTPUT_TABLE_HEAD_HPP

#include <optional>
#include <string>
#include <vector>

#include "virt-power/interval.hpp"

namespace virt_power {

struct HeadLine {
    std::string text;
    bool may_go = false;  ///< the first to be left out where there is not room for all
};

struct HeadStyle {
    bool host_column = false;  ///< of several hosts: labels name theirs
    bool terminal = false;     ///< the time without the date
    bool mark_idle = false;    ///< the header does not say that idle power is included
};

/// One host's lines, before they are fitted to a width.
class HostHead {
public:
    HostHead(const Interval& interval, const HeadStyle& style);

    void append_to(std::vector<HeadLine>& lines, std::optional<size_t> width) const;

private:
    std::string host_;
    std::string title_;                ///< what follows the host's name
    std::vector<std::string> zones_;   ///< name, watts, limit and frequency of each
    std::vector<std::string> labels_;  ///< what must be known before the figures are read
    bool names_labels_;
};

/// What the table calls the host, escaped.
std::string shown_host(const Interval& interval);

}  // namespace virt_power

#endif
