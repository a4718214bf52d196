// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "asker.hpp"
#include "calibrate_recording.hpp"
#include "calibration_file.hpp"
#include "calibration_keeping.hpp"
#include "calibration_output.hpp"
#include "calibration_place.hpp"
#include "cpu_load.hpp"
#include "fitted.hpp"
#include "hyperthreads.hpp"
#include "load_phases.hpp"
#include "measurement.hpp"
#include "numbers.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Of windows for the weight: what comes sooner is the same reading again.
constexpr uint64_t shortest_load_window_ns = 50'000'000;
constexpr milliseconds shortest_window{100}, longest_window{1000};
constexpr int windows_wanted = 20;
/// The plugin looks at the file once a second.
constexpr milliseconds publish_period{500};
constexpr int publish_tries = 8;

class Calibrator {
public:
    Calibrator(const CalibrateOptions& options, const Context& context)
        : options_(options),
          asker_(context.make_plain_source({options.uri, options.timeout, false}), context.signals.stop),
          measurement_({options.max_busy_percent,
                        static_cast<uint64_t>(std::chrono::nanoseconds(options.duration).count())}) {}

    int run();
    [[nodiscard]] bool busy() const { return asker_.busy(); }

private:
    [[nodiscard]] std::optional<int> begin();
    [[nodiscard]] std::optional<int> plan_load();
    [[nodiscard]] std::optional<int> measure();
    [[nodiscard]] std::optional<int> put_load();
    [[nodiscard]] Status take(const Result<Sample>& sample);
    int finish();
    int failed(const Error& error) const;
    int interrupted() const;
    std::optional<bool> is_published(const Calibration& calibration);

    const CalibrateOptions& options_;
    Asker asker_;
    Measurement measurement_;
    Sample first_;
    CalibrationPlace place_;
    LoadPlan plan_;  ///< without cores: no load
    LoadWindows windows_{shortest_load_window_ns};
};

int Calibrator::failed(const Error& error) const { return calibration_failed(error, options_.dry_run); }

int Calibrator::interrupted() const {
    return failed({ErrorKind::Transient, EINTR, "ended before it was done"});
}

/// The first sample, and all that can be known to be in vain before a minute is spent.
std::optional<int> Calibrator::begin() {
    std::optional<Result<Sample>> sample = asker_.ask();
    if (!sample) return interrupted();
    if (!*sample) return failed(sample->error());
    first_ = **sample;
    for (const std::string& notice : first_.notices) tell(notice);
    if (Status added = measurement_.add(first_); !added) return failed(added.error());
    if (!options_.dry_run) {
        Result<CalibrationPlace> place = calibration_place(first_, options_.output);
        if (!place) return failed(place.error());
        place_ = *place;
        if (Status usable = check_place(place_); !usable) return failed(usable.error());
    }
    if (options_.load)
        if (std::optional<int> ending = plan_load()) return ending;
    windows_.add(first_);
    tell(fmt::format("measuring {} for {} s: leave it idle", first_.host,
                     static_cast<double>(options_.duration.count()) / 1000));
    return std::nullopt;
}

double seconds_of(milliseconds duration) { return static_cast<double>(duration.count()) / 1000; }

/// What load would be put where; says so, or why there is none.
std::optional<int> Calibrator::plan_load() {
    auto refused = [this](std::string message) {
        return failed({ErrorKind::Unsupported, 0, std::move(message)});
    };
    if (!is_this_machine(first_))
        return refused(fmt::format(
            "--load puts load on this machine, and {} is not it: run this command there", first_.host));
    Result<std::vector<Core>> cores = read_shared_cores("/", allowed_cpus());
    if (!cores) return failed(cores.error());
    if (cores->empty()) {
        tell(
            fmt::format("no core of {} has two hyperthreads that this process may use: no load is put, and "
                        "no weight is needed",
                        first_.host));
        return std::nullopt;
    }
    if (!options_.dry_run && place_.make_directories)
        return refused(
            fmt::format("a weight counts in the daemon's own {} alone: run this command as root, or give "
                        "that file with --output",
                        calibration_file_name));
    const std::vector<PackageReading>& packages = first_.reading->packages;
    if (std::none_of(packages.begin(), packages.end(),
                     [](const PackageReading& package) { return package.shared.has_value(); }))
        return refused(
            fmt::format("the daemon of {} does not count the use of shared cores: without it no weight "
                        "can be found (--load)",
                        first_.host));
    plan_ = {*std::move(cores), options_.phase};
    tell(fmt::format(
        "then all of CPUs {} are kept busy for {} s: in turns one hyperthread of each core and all, "
        "{} s each",
        format_cpu_list(cpus_of(plan_)), seconds_of(load_phases * plan_.phase), seconds_of(plan_.phase)));
    return std::nullopt;
}

std::optional<int> Calibrator::put_load() {
    if (plan_.cores.empty()) return std::nullopt;
    tell(fmt::format("putting load on CPUs {} for {} s", format_cpu_list(cpus_of(plan_)),
                     seconds_of(load_phases * plan_.phase)));
    LoadTools tools;
    tools.put = [](const std::vector<uint32_t>& cpus) -> Result<std::shared_ptr<void>> {
        Result<std::unique_ptr<CpuLoad>> load = CpuLoad::put(cpus);
        if (!load) return load.error();
        return std::shared_ptr<void>(*std::move(load));
    };
    tools.ask = [this] { return asker_.ask(); };
    tools.wait = [this](milliseconds time) { return asker_.wait_until(Clock::now() + time); };
    std::optional<Status> ended = run_load(plan_, windows_, tools);
    if (!ended) return interrupted();
    if (!*ended) return failed(ended->error());
    return std::nullopt;
}

Status Calibrator::take(const Result<Sample>& sample) {
    if (!sample) {
        measurement_.drop(sample.error().message);
        return ok();
    }
    for (const std::string& notice : sample->notices) tell(notice);
    windows_.add(*sample);
    return measurement_.add(*sample);
}

std::optional<int> Calibrator::measure() {
    milliseconds window = std::clamp(options_.duration / windows_wanted, shortest_window, longest_window);
    auto count = (options_.duration + window - milliseconds(1)) / window;
    Clock::time_point start = Clock::now();
    for (int64_t n = 1; n <= count; n++) {
        if (!asker_.wait_until(std::min(start + n * window, start + options_.duration))) return interrupted();
        std::optional<Result<Sample>> sample = asker_.ask();
        if (!sample) return interrupted();
        if (Status taken = take(*sample); !taken) return failed(taken.error());
        // A host that was slow to answer took windows: the end stays where it is.
        n = std::max(n, (Clock::now() - start) / window);
    }
    if (!asker_.wait_until(start)) return interrupted();
    return std::nullopt;
}

/// Absent if that cannot be told any more.
std::optional<bool> Calibrator::is_published(const Calibration& calibration) {
    std::optional<bool> published;
    for (int n = 0; n < publish_tries; n++) {
        if (!asker_.wait_until(Clock::now() + publish_period)) return published;
        std::optional<Result<Sample>> sample = asker_.ask();
        if (!sample) return published;
        if (!*sample || !(*sample)->reading) continue;
        const std::vector<ZoneReading>& zones = (*sample)->reading->zones;
        published =
            std::all_of(calibration.zones.begin(), calibration.zones.end(), [&](const ZoneStatic& wanted) {
                return std::any_of(zones.begin(), zones.end(), [&](const ZoneReading& zone) {
                    return zone.name == wanted.name && zone.static_uw == wanted.static_uw;
                });
            });
        if (*published) break;
    }
    return published;
}

int Calibrator::finish() {
    Result<Calibration> measured = measurement_.result();
    if (!measured) return failed(measured.error());
    CalibrationReport report{first_.uri, std::move(*measured), {}, {}};
    Calibration& calibration = report.calibration;
    calibration.date = date_now();
    if (calibration.busy_percent > CalibrateOptions{}.max_busy_percent)
        tell(
            fmt::format("CPUs were busy {:.1f} % of the time: what was drawn for that is inside this static "
                        "power, and domains "
                        "will be charged that much too little",
                        calibration.busy_percent));
    if (is_this_machine(first_)) calibration.machine_id = read_machine_id("/");
    if (!plan_.cores.empty()) {
        Result<Weights> weights = fit_shared_weight(windows_, first_.host);
        if (!weights) return failed(weights.error());
        calibration.weights = *std::move(weights);
    }
    if (!options_.dry_run) {
        if (Status kept = keep_calibration(place_, calibration); !kept) return failed(kept.error());
        report.file = place_.file.string();
        if (place_.daemon_expected) report.published = is_published(calibration);
    }
    int status = show_calibration(report, options_.json);
    if (report.published.value_or(true)) return status;
    tell(fmt::format(
        "the daemon of {} does not publish it: its log says why, unless {} is not its configuration "
        "directory",
        calibration.host, place_.file.parent_path().string()));
    return place_.chosen ? status : 1;
}

int Calibrator::run() {
    if (std::optional<int> ending = begin()) return *ending;
    if (std::optional<int> ending = measure()) return *ending;
    if (std::optional<int> ending = put_load()) return *ending;
    return finish();
}

}  // namespace

int run_calibrate(const CalibrateOptions& options, Context& context) {
    if (options.from) return run_calibrate_recording(options, context);
    Calibrator calibrator(options, context);
    int status = calibrator.run();
    context.busy = calibrator.busy();
    return status;
}

}  // namespace virt_power
