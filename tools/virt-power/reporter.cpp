// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reporter.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace virt_power {
namespace {

/// Trying again is of no use.
bool is_final(const Error& error) {
    return error.kind == ErrorKind::Denied || error.kind == ErrorKind::Unsupported ||
           error.kind == ErrorKind::Malformed;
}

}  // namespace

Reporter::Reporter(const Options& options, const ReporterOptions& how)
    : options_(options), how_(how), unknown_(options.domains), names_(how.hosts) {}

std::unique_ptr<Sink> Reporter::make_sink() const {
    if (how_.quiet) return nullptr;
    SinkOptions common{options_.sort, options_.domains, how_.stop_fd};
    if (options_.output == OutputKind::Json) return make_json_sink(STDOUT_FILENO, common);
    if (options_.output == OutputKind::Csv) return make_csv_sink(STDOUT_FILENO, common);
    return make_table_sink(STDOUT_FILENO, {common, how_.hosts.size() > 1, how_.terminal});
}

/// On a terminal that the table has to itself, notices are part of the table.
void Reporter::tell(const std::string& notice) {
    constexpr size_t longest = 1000;  // other libraries' messages may hold anything
    std::string line = shortened(notice, longest);
    if (sink_ && how_.terminal && isatty(STDERR_FILENO) == 1)
        sink_->notice("virt-power: " + line);
    else
        fmt::print(stderr, "virt-power: {}\n", escape_for_terminal(line));
}

std::optional<int> Reporter::take_error(Delivery delivery) {
    if (!contacting_) {
        if (delivery.lost) tell(names_.lost(delivery.host, delivery.error->message) + "; trying again");
        return std::nullopt;
    }
    if (is_final(*delivery.error)) {
        tell(names_.about(delivery.host, delivery.error->message));
        return 1;
    }
    failed_first_.push_back(std::move(delivery));
    return std::nullopt;
}

std::optional<int> Reporter::take(Delivery delivery) {
    size_t host = delivery.host;
    if (delivery.identity) {
        ++reached_;
        names_.learn(host, *delivery.identity);
    }
    // One that is shown already, by another URI.
    if (names_.is_twin(host)) return std::nullopt;
    if (delivery.error) return take_error(std::move(delivery));
    for (const std::string& notice : delivery.notices)
        tell(how_.hosts.size() > 1 ? names_.label(host) + ": " + notice : notice);
    waiting_ = waiting_ || delivery.waiting;
    if (!delivery.interval) return std::nullopt;
    // Of a host that answered twice since the last tick both are shown.
    auto place = std::upper_bound(hosts_.begin(), hosts_.end(), host);
    intervals_.insert(intervals_.begin() + (place - hosts_.begin()), *std::move(delivery.interval));
    hosts_.insert(place, host);
    return std::nullopt;
}

std::optional<int> Reporter::start() {
    contacting_ = false;
    for (const Delivery& failed : failed_first_)
        tell(names_.about(failed.host, failed.error->message) + (reached_ > 0 ? "; trying again" : ""));
    if (reached_ == 0) return 1;
    sink_ = make_sink();
    return std::nullopt;
}

bool Reporter::write(const std::vector<Interval>& intervals) {
    if (!sink_) return true;
    Status written = sink_->write(intervals);
    if (written) return true;
    // A reader that left has what it wanted; an interrupted write is our own end.
    if (written.error().kind == ErrorKind::Gone || written.error().error_number == EINTR) return false;
    status_ = 1;
    sink_.reset();
    tell(written.error().message);
    return false;
}

/// Those of this tick, each host's once.
std::vector<Interval> Reporter::take_intervals() {
    std::vector<Interval> intervals;
    for (size_t i = 0; i < hosts_.size(); ++i) {
        if (std::optional<std::string> notice = names_.show(hosts_[i])) tell(*notice);
        if (names_.is_twin(hosts_[i])) continue;
        intervals_[i].host_label = names_.distinct(hosts_[i]);
        intervals.push_back(std::move(intervals_[i]));
    }
    intervals_.clear();
    hosts_.clear();
    return intervals;
}

bool Reporter::tick() {
    std::vector<Interval> intervals = take_intervals();
    if (!intervals.empty())
        for (const std::string& domain : unknown_.check(intervals, names_.count()))
            tell("no domain '" + domain + "' is running here; it will be shown once it is");
    // A tick in which a host still owes its figures is none of those asked for.
    if (!intervals.empty() || !waiting_) ++shown_;
    waiting_ = false;
    return write(intervals);
}

void Reporter::suspend() {
    if (sink_) sink_->suspend();
}

bool Reporter::redraw() { return write({}); }

}  // namespace virt_power
