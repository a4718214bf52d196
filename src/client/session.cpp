// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session.hpp"

#include <ctime>
#include <utility>

#include "sample_maker.hpp"

namespace virt_power {
namespace {

int64_t clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

Clocks system_clocks() {
    return {[] { return clock_ns(CLOCK_MONOTONIC); }, [] { return clock_ns(CLOCK_REALTIME); }};
}

Session::Session(SessionOptions options, Connector connector, Clocks clocks)
    : options_(std::move(options)), connector_(std::move(connector)), clocks_(std::move(clocks)) {}

void Session::use(std::unique_ptr<Connection> connection, bool read_only) {
    connection_ = std::move(connection);
    read_only_ = read_only;
    allocations_ = {};
    facts_ = connection_->facts();
    if (facts_.uri.empty()) facts_.uri = options_.uri;
    if (facts_.hostname.empty()) facts_.hostname = facts_.uri;
}

Status Session::connect(bool read_only) {
    Result<std::unique_ptr<Connection>> opened = connector_(options_.uri, read_only);
    if (!opened) return opened.error();
    use(std::move(*opened), read_only);
    return ok();
}

Error Session::lost(Error error) {
    connection_.reset();
    read_write_refused_ = false;
    back_off_.failed(clocks_.monotonic_ns());
    last_error_ = error;
    return error;
}

/// Is there more to be seen by a connection that may write? Asked once per connection.
bool Session::try_read_write(const Sample& sample) {
    if (!read_only_ || options_.read_only || read_write_refused_) return false;
    bool coarse = sample.reading && sample.reading->interval_ns.value_or(0) != 0;
    if (sample.status != EnergyStatus::Denied && !coarse) return false;
    Result<std::unique_ptr<Connection>> opened = connector_(options_.uri, false);
    if (opened) {
        use(std::move(*opened), false);
        wants_read_write_ = true;
        return true;
    }
    read_write_refused_ = true;
    if (!std::exchange(told_refused_, true))
        notices_.push_back(
            "energy is limited for read-only connections, and one that may write was refused: " +
            opened.error().message);
    return false;
}

Result<Sample> Session::ask_once() {
    Result<std::vector<DomainRecord>> records =
        connection_->stats(wants_cpu_ ? Groups::EnergyAndCpu : Groups::Energy);
    if (!records) return records.error();
    Sample sample;
    sample.host = facts_.hostname;
    sample.uri = facts_.uri;
    sample.host_cpus = facts_.cpus;
    sample.wall_ns = clocks_.wall_ns();
    sample.monotonic_ns = clocks_.monotonic_ns();
    sample.status = status_.value_or(EnergyStatus::Ok);
    take_records(sample, *records);
    if (!records->empty()) status_ = sample.status;
    return sample;
}

Result<Sample> Session::ask() {
    Result<Sample> sample = ask_once();
    if (sample && try_read_write(*sample)) sample = ask_once();
    if (!sample || sample->domains.empty()) return sample;
    bool wants_cpu = sample->status != EnergyStatus::Ok;
    // The CPU time is not in this sample yet: ask again, once, so that the
    // next one has something to be compared with.
    if (std::exchange(wants_cpu_, wants_cpu) != wants_cpu && wants_cpu) return ask_once();
    return sample;
}

/// Of use only beside energy. A failure costs these figures, not the sample.
void Session::add_allocations(Sample& sample) {
    if (!options_.allocations || !sample.reading) return;
    int64_t now_ns = clocks_.monotonic_ns();
    if (allocations_.are_due(sample, now_ns)) {
        Result<std::vector<DomainRecord>> records = connection_->stats(Groups::Allocation);
        if (!records && !std::exchange(told_no_allocations_, true))
            notices_.push_back("what the domains were given (vCPUs, memory) is not known: " +
                               records.error().message);
        allocations_.take(sample, records ? *records : std::vector<DomainRecord>{}, now_ns);
    }
    allocations_.fill(sample);
}

Result<Sample> Session::sample() {
    if (!connection_) {
        if (!back_off_.may_try(clocks_.monotonic_ns())) return *last_error_;
        Status opened = connect(!wants_read_write_);
        // What was granted before may not be now.
        if (!opened && wants_read_write_ && opened.error().kind == ErrorKind::Denied) opened = connect(true);
        if (!opened) return lost(opened.error());
    }
    Result<Sample> sample = ask();
    if (!sample) {
        if (sample.error().kind == ErrorKind::Gone) return lost(sample.error());
        return sample;
    }
    back_off_.succeeded();
    add_allocations(*sample);
    sample->notices.insert(sample->notices.end(), notices_.begin(), notices_.end());
    notices_.clear();
    return sample;
}

}  // namespace virt_power
