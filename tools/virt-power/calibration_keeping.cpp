// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration_keeping.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string_view>

#include "calibration_file.hpp"
#include "small_file.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

bool write_output(std::string_view text) {
    while (!text.empty()) {
        ssize_t size = ::write(STDOUT_FILENO, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        text.remove_prefix(static_cast<size_t>(size));
    }
    return true;
}

/// The user's own file: the plugin, which weighs, does not read it.
bool is_users_own(const CalibrationPlace& place) { return place.make_directories; }

void tell_taken(const TakenOver& taken, const std::string& file) {
    auto stays = [&](bool is_taken, std::string_view what) {
        if (is_taken) tell(fmt::format("{} stays as {} has it: it was not measured now", what, file));
    };
    stays(taken.zones, "static power");
    stays(taken.shared, "the weight of shared cores");
    stays(taken.frequency, "the weight of frequency");
}

}  // namespace

void tell(const std::string& line) { fmt::print(stderr, "virt-power: {}\n", escape_for_terminal(line)); }

int calibration_failed(const Error& error, bool dry_run) {
    tell(error.message + (dry_run ? "" : "; nothing was written"));
    return 1;
}

std::string date_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::optional<Calibration> older_calibration(const CalibrationPlace& place) {
    Result<std::string> text = read_small_file(place.file, max_calibration_size);
    if (!text) return std::nullopt;
    // Its faults were told by whoever used it.
    return parse_calibration(*text, place.file.string(), [](std::string_view) {});
}

Status keep_calibration(const CalibrationPlace& place, Calibration& calibration) {
    Calibration kept = calibration;
    if (is_users_own(place)) {
        if (kept.weights)
            tell(fmt::format("weights are not written: they count in the daemon's own {} alone (--output)",
                             calibration_file_name));
        kept.weights.reset();
    } else if (std::optional<Calibration> older = older_calibration(place)) {
        tell_taken(take_over(kept, *older), place.file.string());
    }
    Result<std::string> text = calibration_text(kept, "virt-power " VIRT_POWER_VERSION);
    if (!text) return text.error();
    if (Status written = write_calibration(place, *text); !written) return written;
    calibration = std::move(kept);
    return ok();
}

int show_calibration(const CalibrationReport& report, bool json) {
    // A reader that left has what it wanted.
    if (write_output(json ? calibration_json(report) : calibration_table(report)) || errno == EPIPE) return 0;
    tell(fmt::format("cannot write the output: {}", strerrordesc_np(errno)));
    return 1;
}

}  // namespace virt_power
