// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.hpp"

#include <fmt/format.h>
#include <glib.h>

#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

constexpr double max_watts = 1e6;
constexpr size_t max_size = 65536;
constexpr uint64_t max_keep_seconds = uint64_t{30} * 24 * 3600;
constexpr uint64_t max_keep = 4096;

template <typename T>
std::optional<T> parse_number(std::string_view text, T least, T most) {
    T value{};
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    if (!(value >= least && value <= most)) return std::nullopt;
    return value;
}

/// Takes a value; says what it should be if it is not.
using Setter = std::function<std::optional<std::string>(const std::string& value)>;

Setter boolean(bool& field) {
    return [&field](const std::string& value) -> std::optional<std::string> {
        if (value != "true" && value != "false") return "true or false";
        field = value == "true";
        return std::nullopt;
    };
}

Setter watts(uint64_t& field_uw) {
    return [&field_uw](const std::string& value) -> std::optional<std::string> {
        std::optional<double> number = parse_number(value, 0.0, max_watts);
        if (!number) return fmt::format("watts from 0 to {}", max_watts);
        field_uw = static_cast<uint64_t>(std::llround(*number * 1e6));
        return std::nullopt;
    };
}

Setter number(uint32_t& field, uint64_t least, uint64_t most) {
    return [&field, least, most](const std::string& value) -> std::optional<std::string> {
        std::optional<uint64_t> parsed = parse_number<uint64_t>(value, least, most);
        if (!parsed) return fmt::format("a number from {} to {}", least, most);
        field = static_cast<uint32_t>(*parsed);
        return std::nullopt;
    };
}

template <typename T>
Setter choice(T& field, std::map<std::string, T> choices) {
    return [&field, choices = std::move(choices)](const std::string& value) -> std::optional<std::string> {
        auto found = choices.find(value);
        if (found != choices.end()) {
            field = found->second;
            return std::nullopt;
        }
        std::string names;
        for (const auto& [name, unused] : choices) names += (names.empty() ? "" : ", ") + name;
        return "one of " + names;
    };
}

Setter absolute_path(std::filesystem::path& field) {
    return [&field](const std::string& value) -> std::optional<std::string> {
        if (!value.starts_with('/')) return "an absolute path";
        field = value;
        return std::nullopt;
    };
}

using Groups = std::map<std::string, std::map<std::string, Setter>>;

Groups groups_of(Config& config) {
    Groups groups;
    groups["sources"] = {{"powercap", boolean(config.powercap)},
                         {"perf", boolean(config.perf)},
                         {"modelled", boolean(config.modelled)}};
    groups["modelled"] = {{"idle_watts", watts(config.model.idle_uw)},
                          {"busy_cpu_watts", watts(config.model.busy_cpu_uw)}};
    groups["access"] = {
        {"read_only", choice<ReadOnlyRule>(config.read_only, {{"deny", ReadOnlyRule::Deny},
                                                              {"coarse", ReadOnlyRule::Coarse},
                                                              {"full", ReadOnlyRule::Full}})}};
    groups["departed"] = {{"keep_seconds", number(config.keep_seconds, 0, max_keep_seconds)},
                          {"keep_max", number(config.keep_max, 0, max_keep)}};
    groups["usage"] = {{"counter", choice<CounterChoice>(config.counter, {{"auto", CounterChoice::Auto},
                                                                          {"bpf", CounterChoice::Bpf},
                                                                          {"proc", CounterChoice::Proc}})},
                       {"pin", boolean(config.pin)}};
    groups["host"] = {{"root", absolute_path(config.root)}, {"bpf_fs", absolute_path(config.bpf_fs)}};
    return groups;
}

struct KeyFileDeleter {
    void operator()(GKeyFile* file) const { g_key_file_free(file); }
};
struct StringsDeleter {
    void operator()(gchar** strings) const { g_strfreev(strings); }
};
struct StringDeleter {
    void operator()(gchar* text) const { g_free(text); }
};
using KeyFile = std::unique_ptr<GKeyFile, KeyFileDeleter>;
using Strings = std::unique_ptr<gchar*, StringsDeleter>;
using String = std::unique_ptr<gchar, StringDeleter>;

class Loader {
public:
    Loader(const std::filesystem::path& file, const std::function<void(std::string_view)>& warn)
        : name_(file.string()), warn_(warn), file_(g_key_file_new()) {}

    Config run() {
        Config config;
        std::error_code unreadable;
        std::filesystem::file_status status = std::filesystem::status(name_, unreadable);
        if (status.type() == std::filesystem::file_type::not_found) return config;
        // What is no file, as a FIFO, might block the daemon's start.
        if (status.type() != std::filesystem::file_type::regular) {
            warn_(fmt::format("{} is not a file; the defaults serve", name_));
            return config;
        }
        Result<std::string> text = read_kernel_file(name_, max_size);
        if (!text) {
            warn_(fmt::format("{}; the defaults serve", text.error().message));
            return config;
        }
        const std::string content = *text;
        GError* error = nullptr;
        if (!g_key_file_load_from_data(file_.get(), content.data(), content.size(), G_KEY_FILE_NONE,
                                       &error)) {
            warn_(fmt::format("{}: {}; the defaults serve", name_, error->message));
            g_error_free(error);
            return config;
        }
        Groups groups = groups_of(config);
        Strings names(g_key_file_get_groups(file_.get(), nullptr));
        for (gchar** group = names.get(); *group; group++) {
            auto found = groups.find(*group);
            if (found == groups.end())
                warn_(fmt::format("{}: there is no group [{}]; it is ignored", name_, *group));
            else
                load_group(*group, found->second);
        }
        return config;
    }

private:
    void load_group(const char* group, std::map<std::string, Setter>& setters) {
        Strings keys(g_key_file_get_keys(file_.get(), group, nullptr, nullptr));
        for (gchar** key = keys.get(); key && *key; key++) {
            auto found = setters.find(*key);
            if (found == setters.end()) {
                warn_(fmt::format("{}: group [{}] has no key '{}'; it is ignored", name_, group, *key));
                continue;
            }
            String value(g_key_file_get_value(file_.get(), group, *key, nullptr));
            std::string text = value ? value.get() : "";
            if (std::optional<std::string> wanted = found->second(text))
                warn_(fmt::format("{}: group [{}], key '{}': '{}' is not {}; the default serves", name_,
                                  group, *key, text.substr(0, 60), *wanted));
        }
    }

    std::string name_;
    const std::function<void(std::string_view)>& warn_;
    KeyFile file_;
};

}  // namespace

Config load_config(const std::filesystem::path& file, const std::function<void(std::string_view)>& warn) {
    return Loader(file, warn).run();
}

}  // namespace virt_power
