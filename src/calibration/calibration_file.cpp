// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration_file.hpp"

#include <fmt/format.h>
#include <glib.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <tuple>

namespace virt_power {
namespace {

constexpr std::string_view zone_prefix = "zone ";
constexpr const char* weights_group = "weights";
constexpr uint64_t max_uw = 1'000'000'000'000;
constexpr uint64_t max_windows = 1'000'000;
constexpr double max_seconds = 1e6;
constexpr size_t max_name = 200;
constexpr size_t max_quoted = 60;
constexpr size_t most_faults = 20;

struct KeyFileDeleter {
    void operator()(GKeyFile* file) const { g_key_file_free(file); }
};
struct StringsDeleter {
    void operator()(gchar** strings) const { g_strfreev(strings); }
};
struct StringDeleter {
    void operator()(gchar* text) const { g_free(text); }
};
using Strings = std::unique_ptr<gchar*, StringsDeleter>;
using String = std::unique_ptr<gchar, StringDeleter>;

/// Can it be a value, or within a group's name, and come back as it is?
bool is_plain(std::string_view text) {
    return !text.empty() && text.size() <= max_name && text.front() != ' ' && text.back() != ' ' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               auto byte = static_cast<unsigned char>(c);
               return byte >= 0x20 && byte < 0x7f && c != '[' && c != ']' && c != '\\';
           });
}

template <typename T>
bool take_number(T& field, std::string_view text, T least, T most) {
    T value{};
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size() || !(value >= least && value <= most))
        return false;
    field = value;
    return true;
}

/// Takes a value; says what it should be if it is not.
using Setter = std::function<std::optional<std::string>(const std::string& value)>;
using Setters = std::map<std::string, Setter>;

template <typename T>
Setter number(T& field, T most, std::string_view what, T least = 0) {
    return [&field, least, most, what](const std::string& value) -> std::optional<std::string> {
        if (take_number(field, value, least, most)) return std::nullopt;
        return fmt::format("{} from {} to {}", what, least, most);
    };
}

template <typename T>
Setter optional_number(std::optional<T>& field, T most, std::string_view what) {
    return [&field, most, what](const std::string& value) -> std::optional<std::string> {
        T found{};
        if (!take_number(found, value, T{0}, most)) return fmt::format("{} from 0 to {}", what, most);
        field = found;
        return std::nullopt;
    };
}

Setter microwatts(uint64_t& field) { return number(field, max_uw, "whole microwatts"); }

constexpr std::string_view permille = "whole thousandths";
Setter thousandths(uint32_t& field, uint32_t most, uint32_t least = 0) {
    return number(field, most, permille, least);
}
Setter thousandths(std::optional<uint32_t>& field) {
    return optional_number(field, most_square_permille, permille);
}

/// How zones are measured, or how weights are: `one`, or by a recording.
Setter method(CalibrationMethod& field, CalibrationMethod one) {
    return [&field, one](const std::string& value) -> std::optional<std::string> {
        for (CalibrationMethod known : {one, CalibrationMethod::Recording}) {
            if (value != name_of(known)) continue;
            field = known;
            return std::nullopt;
        }
        return fmt::format("{} or recording", name_of(one));
    };
}

Setter plain(std::string& field) {
    return [&field](const std::string& value) -> std::optional<std::string> {
        if (!is_plain(value)) return "a name";
        field = value;
        return std::nullopt;
    };
}

class Parser {
public:
    Parser(const std::string& name, const std::function<void(std::string_view)>& warn)
        : name_(name), warn_(warn), file_(g_key_file_new()) {}

    std::optional<Calibration> run(std::string_view text) {
        // The last number of one that was cut off would be another number.
        if (!text.ends_with('\n')) {
            tell(fmt::format("{}: it does not end with a line's end, as if cut off; the file is ignored",
                             name_));
            return std::nullopt;
        }
        GError* error = nullptr;
        const std::string content(text);
        if (!g_key_file_load_from_data(file_.get(), content.data(), content.size(), G_KEY_FILE_NONE,
                                       &error)) {
            tell(fmt::format("{}: {}; the file is ignored", name_, error->message));
            g_error_free(error);
            return std::nullopt;
        }
        Calibration calibration;
        if (!load_head(calibration)) return std::nullopt;
        Strings groups(g_key_file_get_groups(file_.get(), nullptr));
        for (gchar** group = groups.get(); *group; group++) load_group(calibration, *group);
        return calibration;
    }

private:
    /// Of a file that is no calibration at all, some faults are enough.
    void tell(const std::string& fault) {
        if (++faults_ < most_faults) warn_(fault);
        if (faults_ == most_faults) warn_(fmt::format("{}: there are more faults", name_));
    }

    bool load_head(Calibration& calibration) {
        constexpr uint64_t most_versions = 1'000'000;
        uint64_t version = 0;
        std::set<std::string> given =
            load("calibration",
                 {{"version", number(version, most_versions, "a number")},
                  {"host", plain(calibration.host)},
                  {"machine_id", plain(calibration.machine_id)},
                  {"date", plain(calibration.date)},
                  {"seconds", number(calibration.seconds, max_seconds, "seconds")},
                  {"busy_percent", number(calibration.busy_percent, 100.0, "percent")},
                  {"busy_highest_percent", number(calibration.busy_highest_percent, 100.0, "percent")}});
        if (version == 1) return true;
        tell(given.count("version") == 0
                 ? fmt::format("{}: group [calibration], key 'version': it is missing; the file is ignored",
                               name_)
                 : fmt::format("{}: group [calibration], key 'version': {} is not known, only 1 is; the file "
                               "is ignored",
                               name_, version));
        return false;
    }

    void load_group(Calibration& calibration, const std::string& group) {
        if (group == "calibration") return;
        if (group == weights_group) return load_weights(calibration);
        ZoneStatic zone;
        zone.name = group.starts_with(zone_prefix) ? group.substr(zone_prefix.size()) : "";
        if (!is_plain(zone.name)) {
            tell(
                fmt::format("{}: there is no group [{}]; it is ignored", name_, group.substr(0, max_quoted)));
            return;
        }
        std::set<std::string> given =
            load(group, {{"type", plain(zone.type)},
                         {"source", plain(zone.source)},
                         {"static_uw", microwatts(zone.static_uw)},
                         {"deviation_uw", microwatts(zone.deviation_uw)},
                         {"lowest_uw", microwatts(zone.lowest_uw)},
                         {"highest_uw", microwatts(zone.highest_uw)},
                         {"windows", number(zone.windows, max_windows, "a number")},
                         {"dropped_windows", number(zone.dropped, max_windows, "a number")},
                         {"method", method(zone.method, CalibrationMethod::Idle)},
                         {"error_uw", optional_number(zone.error_uw, max_uw, "whole microwatts")}});
        if (has_all(group, given, {"source", "static_uw"})) calibration.zones.push_back(std::move(zone));
    }

    void load_weights(Calibration& calibration) {
        Weights weights;
        std::set<std::string> given = load(
            weights_group, {{"shared_permille", thousandths(weights.shared_permille, most_shared_permille,
                                                            least_shared_permille)},
                            {"shared_deviation_permille", thousandths(weights.shared_deviation_permille)},
                            {"cycle_permille", thousandths(weights.cycle_permille, most_cycle_permille)},
                            {"cycle_deviation_permille", thousandths(weights.cycle_deviation_permille)},
                            {"square_permille", thousandths(weights.square_permille, most_square_permille)},
                            {"square_deviation_permille", thousandths(weights.square_deviation_permille)},
                            {"method", method(weights.method, CalibrationMethod::Load)},
                            {"source", plain(weights.source)}});
        if (!has_all(weights_group, given, {"shared_permille", "cycle_permille", "square_permille"})) return;
        if (weights.cycle_permille == 0 && weights.square_permille == 0)
            return tell(
                fmt::format("{}: group [{}]: a cycle that weighs nothing cannot be; the group is ignored",
                            name_, weights_group));
        calibration.weights = std::move(weights);
    }

    bool has_all(const std::string& group, const std::set<std::string>& given,
                 std::initializer_list<const char*> needed) {
        for (const char* key : needed) {
            if (given.count(key) != 0) continue;
            tell(fmt::format("{}: group [{}], key '{}': it is needed; the group is ignored", name_, group,
                             key));
            return false;
        }
        return true;
    }

    /// The keys that were taken.
    std::set<std::string> load(const std::string& group, const Setters& setters) {
        std::set<std::string> taken;
        Strings keys(g_key_file_get_keys(file_.get(), group.c_str(), nullptr, nullptr));
        for (gchar** key = keys.get(); key && *key; key++) {
            auto found = setters.find(*key);
            if (found == setters.end()) {
                tell(fmt::format("{}: group [{}] has no key '{}'; it is ignored", name_, group,
                                 std::string_view(*key).substr(0, max_quoted)));
                continue;
            }
            String value(g_key_file_get_value(file_.get(), group.c_str(), *key, nullptr));
            std::string text = value ? value.get() : "";
            if (std::optional<std::string> wanted = found->second(text))
                tell(fmt::format("{}: group [{}], key '{}': '{}' is not {}; it is ignored", name_, group,
                                 *key, text.substr(0, max_quoted), *wanted));
            else
                taken.insert(*key);
        }
        return taken;
    }

    size_t faults_ = 0;
    const std::string& name_;
    const std::function<void(std::string_view)>& warn_;
    std::unique_ptr<GKeyFile, KeyFileDeleter> file_;
};

void write_weights(std::string& text, const Weights& weights) {
    auto out = std::back_inserter(text);
    fmt::format_to(
        out,
        "\n# What a cycle weighs when energy is divided, in thousandths. Those without a deviation were not "
        "measured.\n[{}]\n",
        weights_group);
    for (auto [key, value, deviation] :
         {std::tuple{"shared", weights.shared_permille, weights.shared_deviation_permille},
          std::tuple{"cycle", weights.cycle_permille, weights.cycle_deviation_permille},
          std::tuple{"square", weights.square_permille, weights.square_deviation_permille}}) {
        fmt::format_to(out, "{}_permille={}\n", key, value);
        if (deviation) fmt::format_to(out, "{}_deviation_permille={}\n", key, *deviation);
    }
    fmt::format_to(out, "method={}\n", name_of(weights.method));
    if (!weights.source.empty()) fmt::format_to(out, "source={}\n", weights.source);
}

}  // namespace

Result<std::string> calibration_text(const Calibration& calibration, std::string_view written_by) {
    std::string text;
    auto out = std::back_inserter(text);
    fmt::format_to(out,
                   "# What each zone draws while the host does nothing, in microwatts.\n"
                   "# Written by {} on {}. Another calibration puts a new file in its place.\n"
                   "[calibration]\nversion=1\nhost={}\n",
                   written_by, calibration.date, calibration.host);
    if (!calibration.machine_id.empty()) fmt::format_to(out, "machine_id={}\n", calibration.machine_id);
    fmt::format_to(out, "date={}\nseconds={:.1f}\nbusy_percent={:.3f}\nbusy_highest_percent={:.3f}\n",
                   calibration.date, calibration.seconds, calibration.busy_percent,
                   calibration.busy_highest_percent);
    std::vector<std::string_view> words = {calibration.host, calibration.date};
    for (const ZoneStatic& zone : calibration.zones) {
        fmt::format_to(out,
                       "\n[{}{}]\ntype={}\nsource={}\nstatic_uw={}\ndeviation_uw={}\nlowest_uw={}\n"
                       "highest_uw={}\nwindows={}\ndropped_windows={}\nmethod={}\n",
                       zone_prefix, zone.name, zone.type, zone.source, zone.static_uw, zone.deviation_uw,
                       zone.lowest_uw, zone.highest_uw, zone.windows, zone.dropped, name_of(zone.method));
        if (zone.error_uw) fmt::format_to(out, "error_uw={}\n", *zone.error_uw);
        words.insert(words.end(), {zone.name, zone.type, zone.source});
    }
    if (calibration.weights) {
        write_weights(text, *calibration.weights);
        if (!calibration.weights->source.empty()) words.push_back(calibration.weights->source);
    }
    for (std::string_view word : words)
        if (!is_plain(word))
            return Error{ErrorKind::Malformed, 0,
                         fmt::format("the daemon gave the name '{}', which cannot be kept in a file", word)};
    return text;
}

std::optional<Calibration> parse_calibration(std::string_view text, const std::string& name,
                                             const std::function<void(std::string_view)>& warn) {
    return Parser(name, warn).run(text);
}

}  // namespace virt_power
