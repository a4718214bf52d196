// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibrate_recording.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>

#include "calibration_file.hpp"
#include "calibration_keeping.hpp"
#include "calibration_output.hpp"
#include "calibration_place.hpp"
#include "fitted.hpp"
#include "load_windows.hpp"
#include "small_file.hpp"
#include "virt-power/recording.hpp"

namespace virt_power {
namespace {

/// Index of the host that is meant.
Result<size_t> choose_host(const std::vector<std::string>& hosts, const CalibrateOptions& options) {
    constexpr size_t most_shown = 8;
    std::vector<std::string> names;
    for (size_t n = 0; n < std::min(hosts.size(), most_shown); n++)
        names.push_back(hosts[n].empty() ? "(no URI)" : hosts[n]);
    if (hosts.size() > most_shown) names.emplace_back("...");
    const std::string known = fmt::format("{}", fmt::join(names, ", "));
    if (options.uri.empty()) {
        if (hosts.size() == 1) return size_t{0};
        return Error{
            ErrorKind::Malformed, 0,
            fmt::format("{} is of {} hosts: choose one with -c: {}", *options.from, hosts.size(), known)};
    }
    auto found = std::find(hosts.begin(), hosts.end(), options.uri);
    if (found != hosts.end()) return static_cast<size_t>(found - hosts.begin());
    return Error{ErrorKind::Malformed, 0,
                 fmt::format("{} is not of {}; its hosts: {}", *options.from, options.uri, known)};
}

class RecordingCalibrator {
public:
    RecordingCalibrator(const CalibrateOptions& options, int stop_fd)
        : options_(options),
          stop_fd_(stop_fd),
          windows_(static_cast<uint64_t>(std::chrono::nanoseconds(options.window).count())) {}

    int run() {
        if (Status read = read_all(); !read) return failed(read.error());
        Result<Fitted> fitted = fit_recording(windows_, first_.host, options_.max_error_percent);
        if (!fitted) return failed(fitted.error());
        for (const std::string& notice : fitted->notices) tell(notice);
        return finish(*fitted);
    }

private:
    int failed(const Error& error) const { return calibration_failed(error, options_.dry_run); }

    Status read_all() {
        Result<std::unique_ptr<RecordingReader>> reader = RecordingReader::open(*options_.from, stop_fd_);
        if (!reader) return stopped_or(reader.error());
        Result<size_t> host = choose_host((*reader)->header().hosts, options_);
        if (!host) return host.error();
        while (true) {
            Result<RecordedStep> step = (*reader)->next();
            if (!step && step.error().kind == ErrorKind::Gone) {
                // It may go on while this reads it.
                tell(step.error().message + "; what it holds is taken");
                break;
            }
            if (!step) return stopped_or(step.error());
            if (*step == RecordedStep::End) break;
            if (*step != RecordedStep::Sample || (*reader)->host() != *host) continue;
            if (Status added = add((*reader)->sample()); !added) return added;
        }
        if (first_.host.empty())
            return Error{ErrorKind::Unsupported, 0,
                         fmt::format("{} has no figures of this host", *options_.from)};
        return ok();
    }

    static Error stopped_or(const Error& error) {
        if (error.error_number != EINTR) return error;
        return {ErrorKind::Transient, EINTR, "ended before it was done"};
    }

    Status add(const Sample& sample) {
        if (!sample.reading || sample.host.empty()) return ok();
        if (first_.host.empty()) {
            first_.host = sample.host;
            first_.uri = sample.uri;
        }
        if (sample.host != first_.host)
            return Error{
                ErrorKind::Unsupported, 0,
                fmt::format("{}: {} answered by the name {} later: two hosts have no static power in common",
                            *options_.from, first_.host, sample.host)};
        windows_.add(sample);
        for (const ZoneReading& zone : sample.reading->zones)
            if (zone.static_uw) known_uw_[zone.name] = *zone.static_uw;
        return ok();
    }

    int finish(Fitted& fitted) {
        CalibrationReport report{first_.uri, std::move(fitted.calibration), {}, {}};
        report.fits = std::move(fitted.zones);
        report.before_uw = std::move(known_uw_);
        report.busy_lowest_percent = windows_.busy_lowest_percent();
        Calibration& calibration = report.calibration;
        calibration.date = date_now();
        // A recording was made by whoever could reach the host: its name tells whose it is.
        const bool this_machine = is_name_of_this_machine(first_.host);
        if (this_machine) calibration.machine_id = read_machine_id("/");
        if (options_.dry_run) return show_calibration(report, options_.json);
        Result<CalibrationPlace> place = calibration_place(first_, options_.output);
        if (!place) return failed(place.error());
        if (Status usable = check_place(*place); !usable) return failed(usable.error());
        if (std::optional<Calibration> older = older_calibration(*place))
            for (const ZoneStatic& zone : older->zones) report.before_uw[zone.name] = zone.static_uw;
        if (Status kept = keep_calibration(*place, calibration); !kept) return failed(kept.error());
        report.file = place->file.string();
        if (place->daemon_expected && !this_machine)
            tell(fmt::format("no daemon believes {}: this machine is not {}; run this command there",
                             *report.file, first_.host));
        return show_calibration(report, options_.json);
    }

    const CalibrateOptions& options_;
    int stop_fd_;
    LoadWindows windows_;
    Sample first_;  ///< its names alone
    std::map<std::string, uint64_t> known_uw_;
};

}  // namespace

int run_calibrate_recording(const CalibrateOptions& options, const Context& context) {
    return RecordingCalibrator(options, context.signals.stop).run();
}

}  // namespace virt_power
