// SPDX-License-Identifier: LGPL-2.1-or-later
#include "own_calibration.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "static_power.hpp"

namespace virt_power {
namespace {

/// The name comes from the host: it must not lead anywhere else.
bool is_file_name(std::string_view host) {
    constexpr size_t longest = 200;
    return !host.empty() && host.size() <= longest && host.front() != '.' &&
           std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

/// A directory from the environment, which must be absolute (XDG Base Directory Specification).
std::filesystem::path directory_of(const char* variable) {
    const char* value = std::getenv(variable);  // NOLINT: nothing here sets one
    return value && *value == '/' ? value : "";
}

uint64_t steady_ns() {
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                 std::chrono::nanoseconds(1));
}

class CalibratedSource : public Source {
public:
    explicit CalibratedSource(std::unique_ptr<Source> source) : source_(std::move(source)) {}

    Result<Sample> sample() override {
        Result<Sample> sample = source_->sample();
        if (!sample || !sample->reading) return sample;
        if (host_ != sample->host) follow(sample->host);
        if (!known_) return sample;
        known_->add(sample->reading->zones,
                    [&](std::string_view warning) { sample->notices.emplace_back(warning); });
        return sample;
    }

private:
    void follow(const std::string& host) {
        host_ = host;
        known_.reset();
        std::filesystem::path file = own_calibration_file(host);
        if (!file.empty()) known_ = std::make_unique<StaticPower>(file, of_host(host), steady_ns);
    }

    std::unique_ptr<Source> source_;
    std::string host_;
    std::unique_ptr<StaticPower> known_;
};

}  // namespace

std::filesystem::path own_calibration_file(const std::string& host) {
    std::filesystem::path config = directory_of("XDG_CONFIG_HOME");
    if (config.empty() && !directory_of("HOME").empty()) config = directory_of("HOME") / ".config";
    if (config.empty() || !is_file_name(host)) return {};
    return config / "virt-power" / "calibration" / (host + ".conf");
}

SourceFactory with_own_calibrations(SourceFactory factory) {
    return [factory = std::move(factory)](const LibvirtOptions& options) -> std::unique_ptr<Source> {
        return std::make_unique<CalibratedSource>(factory(options));
    };
}

}  // namespace virt_power
