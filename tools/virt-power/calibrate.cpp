// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibrate.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>

#include "asker.hpp"
#include "calibration_file.hpp"
#include "calibration_output.hpp"
#include "calibration_place.hpp"
#include "measurement.hpp"
#include "options.hpp"
#include "small_file.hpp"
#include "values.hpp"

namespace virt_power {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr double shortest_s = 2, longest_s = 3600;
constexpr double least_busy_percent = 0.1, most_busy_percent = 100;
constexpr milliseconds shortest_window{100}, longest_window{1000};
constexpr int windows_wanted = 20;
/// The plugin looks at the file once a second.
constexpr milliseconds publish_period{500};
constexpr int publish_tries = 8;

struct Given {
    std::string uri, seconds = "60", timeout = "10", max_busy = "2";
    std::optional<std::string> output;
    bool dry_run = false, json = false;
};

CalibrateOptions check(const Given& given) {
    CalibrateOptions options;
    options.uri = given.uri;
    options.duration = must(parse_seconds("--seconds", given.seconds, shortest_s, longest_s));
    options.timeout = must(parse_seconds("--timeout", given.timeout, 0.1, 3600));
    options.max_busy_percent =
        must(parse_percent("--max-busy", given.max_busy, least_busy_percent, most_busy_percent));
    if (given.output && given.output->empty()) throw UsageError{"--output needs the name of a file"};
    options.output = given.output;
    options.dry_run = given.dry_run;
    options.json = given.json;
    return options;
}

void tell(const std::string& line) { fmt::print(stderr, "virt-power: {}\n", escape_for_terminal(line)); }

std::string date_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

bool write_output(std::string_view text) {
    while (!text.empty()) {
        ssize_t size = ::write(STDOUT_FILENO, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        text.remove_prefix(static_cast<size_t>(size));
    }
    return true;
}

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
    [[nodiscard]] std::optional<int> measure();
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
};

int Calibrator::failed(const Error& error) const {
    tell(error.message + (options_.dry_run ? "" : "; nothing was written"));
    return 1;
}

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
    tell(fmt::format("measuring {} for {} s: leave it idle", first_.host,
                     static_cast<double>(options_.duration.count()) / 1000));
    return std::nullopt;
}

Status Calibrator::take(const Result<Sample>& sample) {
    if (!sample) {
        measurement_.drop(sample.error().message);
        return ok();
    }
    for (const std::string& notice : sample->notices) tell(notice);
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
    if (is_this_machine(first_)) calibration.machine_id = read_machine_id("/");
    int status = 0;
    if (!options_.dry_run) {
        Result<std::string> text = calibration_text(calibration, "virt-power " VIRT_POWER_VERSION);
        if (!text) return failed(text.error());
        if (Status written = write_calibration(place_, *text); !written) return failed(written.error());
        report.file = place_.file.string();
        if (place_.daemon_expected) report.published = is_published(calibration);
    }
    bool shown = write_output(options_.json ? calibration_json(report) : calibration_table(report));
    // A reader that left has what it wanted.
    if (!shown && errno != EPIPE) {
        tell(fmt::format("cannot write the output: {}", strerrordesc_np(errno)));
        status = 1;
    }
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
    return finish();
}

}  // namespace

Subcommand declare_calibrate(CLI::App& app) {
    auto given = std::make_shared<Given>();
    CLI::App* command = app.add_subcommand("calibrate", "Measure what an idle host draws, and keep it");
    command->add_option("-c,--connect", given->uri, "Host to measure")->type_name("URI");
    command->add_option("--seconds", given->seconds, "How long to measure, 2 to 3600 (default 60)")
        ->type_name("SECONDS");
    command
        ->add_option("--max-busy", given->max_busy,
                     "How busy its CPUs may be on average, 0.1 to 100 percent (default 2)")
        ->type_name("PERCENT");
    command->add_option("--output", given->output, "Where to write the result")->type_name("FILE");
    command->add_flag("--dry-run", given->dry_run, "Write nothing");
    command->add_flag("--json", given->json, "Show the result as a JSON object");
    command->add_option("--timeout", given->timeout, "Seconds that the host has to answer (default 10)")
        ->type_name("SECONDS");
    return {command, [given]() -> Command {
                return
                    [options = check(*given)](Context& context) { return run_calibrate(options, context); };
            }};
}

int run_calibrate(const CalibrateOptions& options, Context& context) {
    Calibrator calibrator(options, context);
    int status = calibrator.run();
    context.busy = calibrator.busy();
    return status;
}

}  // namespace virt_power
