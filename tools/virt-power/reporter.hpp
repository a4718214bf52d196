// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// From deliveries to output and notices. It knows no clock and waits for nothing, so
/// that a live run and its replay are the same.
#ifndef VIRT_POWER_TOOL_REPORTER_HPP
#define VIRT_POWER_TOOL_REPORTER_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host_names.hpp"
#include "host_pipe.hpp"
#include "options.hpp"
#include "unknown_domains.hpp"

namespace virt_power {

struct ReporterOptions {
    std::vector<std::string> hosts;  ///< what each is asked for by
    int stop_fd = -1;
    bool terminal = false;  ///< redraw the table in place
    bool quiet = false;     ///< intervals are not shown
};

class Reporter {
public:
    Reporter(const Options& options, const ReporterOptions& how);

    /// The status to end with, if this was the end.
    std::optional<int> take(Delivery delivery);
    /// Each host was asked once, and those that did not answer by now count as away. The status
    /// to end with, if none was reached.
    std::optional<int> start();
    /// Shows what was taken since the last tick. False if the output takes no more: see status().
    bool tick();
    /// Shows again what is on the terminal. False as tick().
    bool redraw();
    /// Leaves the terminal.
    void end() { sink_.reset(); }

    void tell(const std::string& notice);

    /// As many intervals were shown as were asked for.
    [[nodiscard]] bool done() const { return options_.count && shown_ >= *options_.count; }
    [[nodiscard]] bool terminal() const { return how_.terminal; }
    /// Leaves the terminal to others until redraw() or tick().
    void suspend();
    [[nodiscard]] size_t reached() const { return reached_; }
    [[nodiscard]] int status() const { return status_; }

private:
    [[nodiscard]] std::unique_ptr<Sink> make_sink() const;
    std::optional<int> take_error(Delivery delivery);
    std::vector<Interval> take_intervals();
    bool write(const std::vector<Interval>& intervals);

    const Options& options_;
    ReporterOptions how_;
    UnknownDomains unknown_;
    HostNames names_;
    std::unique_ptr<Sink> sink_;       ///< none before start(), and when quiet
    std::vector<Interval> intervals_;  ///< of this tick, by order of the hosts
    std::vector<size_t> hosts_;        ///< of these intervals
    std::vector<Delivery> failed_first_;
    bool waiting_ = false;  ///< of this tick: a host gave nothing, but will
    bool contacting_ = true;
    size_t reached_ = 0;  ///< samples that hosts gave
    uint64_t shown_ = 0;
    int status_ = 0;
};

}  // namespace virt_power

#endif
