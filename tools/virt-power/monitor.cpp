// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

#include "host_feed.hpp"
#include "reporter.hpp"
#include "terminal.hpp"

namespace virt_power {
namespace {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

/// Once one host has answered, the others hold the tick up no longer than this.
constexpr std::chrono::milliseconds grace{1000};

bool has_terminal() {
    const char* term = std::getenv("TERM");  // NOLINT: before any thread is started
    return isatty(STDOUT_FILENO) == 1 && term && std::string_view(term) != "dumb";
}

class Monitor {
public:
    Monitor(const Options& options, const Context& context, Recorder* recorder, bool quiet)
        : options_(options),
          signals_(context.signals),
          recorder_(recorder),
          feeds_(make_feeds(options, context.make_source, recorder != nullptr)),
          reporter_(options, {options.uris, context.signals.stop,
                              !quiet && options.output == OutputKind::Table && has_terminal(), quiet}) {}

    int run();
    [[nodiscard]] bool busy() const { return feeds_.busy(); }

private:
    enum class Wake { Time, Stop, ReaderGone, Delivery };

    static std::vector<HostFeed> make_feeds(const Options& options, const SourceFactory& make_source,
                                            bool recorded);
    Wake wait_until(std::optional<TimePoint> when);
    Wake await_answers(size_t asked, TimePoint next);
    size_t take_deliveries();
    void contact();
    bool follow_job();
    void tick();
    void ticks();
    void end(int status) {
        if (!status_) status_ = status;
    }
    bool check(const Status& recorded);

    const Options& options_;
    const SignalFds& signals_;
    Recorder* recorder_;
    HostFeeds feeds_;
    Reporter reporter_;
    std::optional<Terminal> terminal_;  ///< while the table is on it
    std::optional<int> status_;         ///< to end with
};

/// A recording holds what each static policy needs, so that it can be replayed by any.
std::vector<HostFeed> Monitor::make_feeds(const Options& options, const SourceFactory& make_source,
                                          bool recorded) {
    bool allocations = recorded || options.attribution.static_policy == StaticPolicy::Allocation;
    std::vector<HostFeed> feeds;
    std::vector<HostPipe> pipes = make_pipes(options.uris.size(), options.attribution);
    for (size_t host = 0; host < options.uris.size(); ++host)
        feeds.emplace_back(make_source({options.uris[host], options.timeout, options.read_only, allocations}),
                           std::move(pipes[host]));
    return feeds;
}

/// Without a time: until something happens.
Monitor::Wake Monitor::wait_until(std::optional<TimePoint> when) {
    while (true) {
        timespec rest{};
        if (when) {
            auto left = std::max(Clock::duration::zero(), *when - Clock::now());
            rest.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
            rest.tv_nsec = (left % std::chrono::seconds(1)).count();
        }
        std::array<pollfd, 6> fds{{{signals_.stop, POLLIN, 0},
                                   {feeds_.ready_fd(), POLLIN, 0},
                                   {signals_.resize, POLLIN, 0},
                                   {STDOUT_FILENO, 0, 0},
                                   {terminal_ ? terminal_->key_fd() : -1, POLLIN, 0},
                                   {terminal_ ? terminal_->job_fd() : -1, POLLIN, 0}}};
        int ready = ppoll(fds.data(), fds.size(), when ? &rest : nullptr, nullptr);
        if (ready < 0 && errno == EINTR) continue;
        if (fds[0].revents != 0) return Wake::Stop;
        if ((fds[3].revents & (POLLERR | POLLHUP)) != 0) return Wake::ReaderGone;
        if (fds[4].revents != 0 && terminal_->quits()) return Wake::Stop;
        if (fds[5].revents != 0) {
            if (!follow_job()) return Wake::ReaderGone;
            continue;
        }
        if (fds[1].revents != 0) return Wake::Delivery;
        if (fds[2].revents != 0) {
            std::array<char, 64> bytes{};
            while (read(signals_.resize, bytes.data(), bytes.size()) > 0) {
            }
            if (reporter_.terminal() && !reporter_.redraw()) return Wake::ReaderGone;
            continue;
        }
        if (when && Clock::now() >= *when) return Wake::Time;
    }
}

/// The screen is others' while the process is stopped.
bool Monitor::follow_job() {
    reporter_.suspend();
    terminal_->follow_job();
    return reporter_.redraw();
}

/// False, and the end, if the recording takes no more.
bool Monitor::check(const Status& recorded) {
    if (recorded) return true;
    recorder_ = nullptr;
    // An interrupted write is our own end.
    if (recorded.error().error_number == EINTR) {
        end(0);
        return false;
    }
    reporter_.end();
    reporter_.tell(recorded.error().message);
    status_ = 1;  // whatever else ended it
    return false;
}

/// Returns how many hosts answered.
size_t Monitor::take_deliveries() {
    std::vector<Delivery> deliveries = feeds_.collect();
    for (Delivery& delivery : deliveries) {
        if (recorder_ && !check(delivery.error ? recorder_->add(delivery.host, *delivery.error)
                                               : recorder_->add(delivery.host, *delivery.sample)))
            break;
        if (std::optional<int> ending = reporter_.take(std::move(delivery))) {
            end(*ending);
            break;
        }
    }
    return deliveries.size();
}

/// Until all that were asked have answered, or, once one has, until the grace is over.
Monitor::Wake Monitor::await_answers(size_t asked, TimePoint next) {
    std::optional<TimePoint> until;
    while (asked > 0) {
        Wake wake = wait_until(until);
        if (wake != Wake::Delivery) return wake;
        size_t answered = take_deliveries();
        if (status_) return Wake::Stop;
        asked -= std::min(asked, answered);
        if (answered != 0 && !until) until = std::min(next, Clock::now() + grace);
    }
    return Wake::Time;
}

/// The first sample of each host.
void Monitor::contact() {
    size_t asked = feeds_.request();
    size_t answered = 0;
    std::optional<TimePoint> until;
    while (answered < asked) {
        Wake wake = wait_until(until);
        if (wake == Wake::Stop || wake == Wake::ReaderGone) return end(0);
        if (wake == Wake::Time) break;
        answered += take_deliveries();
        if (status_) return;
        if (reporter_.reached() > 0 && !until) until = Clock::now() + grace;
    }
    std::optional<int> ending = reporter_.start();
    if (ending) return end(*ending);
    if (recorder_) check(recorder_->started());
}

void Monitor::tick() {
    if (recorder_ && !check(recorder_->tick())) return;
    // It may have come to the foreground, which no signal tells.
    if (terminal_) terminal_->take_keyboard();
    if (!reporter_.tick()) end(reporter_.status());
}

void Monitor::ticks() {
    TimePoint start = Clock::now();
    // Not before: until here a connection may ask for a password.
    if (reporter_.terminal()) {
        terminal_.emplace();
        if (!reporter_.redraw()) return end(reporter_.status());
    }
    int64_t number = 0;
    while (!reporter_.done()) {
        // On a steady schedule; ticks that a slow host took are left out.
        number = std::max(number + 1, (Clock::now() - start) / options_.delay);
        TimePoint next = start + number * options_.delay;
        Wake wake = Wake::Delivery;
        while (wake == Wake::Delivery && !status_) {
            wake = wait_until(next);
            if (wake == Wake::Delivery) take_deliveries();
        }
        if (wake != Wake::Time) return end(0);
        wake = await_answers(feeds_.request(), next + options_.delay);
        if (wake == Wake::Stop || wake == Wake::ReaderGone) return end(0);
        tick();
        if (status_) return;
    }
}

int Monitor::run() {
    contact();
    bool started = !status_;
    if (started) ticks();
    reporter_.end();
    terminal_.reset();
    if (started && recorder_) check(recorder_->finish());
    return status_.value_or(0);
}

}  // namespace

int run_monitor(const Options& options, Context& context, Recorder* recorder, bool quiet) {
    Monitor monitor(options, context, recorder, quiet);
    int status = monitor.run();
    context.busy = monitor.busy();
    return status;
}

}  // namespace virt_power
