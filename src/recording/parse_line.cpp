// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <utility>

#include "line_items.hpp"

namespace virt_power {
namespace {

constexpr Words<Key, 39> key_words{{{"format", Key::Format},
                                    {"version", Key::Version},
                                    {"program", Key::Program},
                                    {"delay_ms", Key::DelayMs},
                                    {"hosts", Key::Hosts},
                                    {"mark", Key::Mark},
                                    {"number", Key::Number},
                                    {"host", Key::Host},
                                    {"error", Key::Error},
                                    {"errno", Key::Errno},
                                    {"message", Key::Message},
                                    {"time", Key::Time},
                                    {"about", Key::About},
                                    {"zones", Key::Zones},
                                    {"packages", Key::Packages},
                                    {"domains", Key::Domains},
                                    {"running", Key::Running},
                                    {"departed", Key::Departed},
                                    {"reading", Key::Reading},
                                    {"package_use", Key::PackageUse},
                                    {"zone_energy", Key::ZoneEnergy},
                                    {"package_frequency", Key::PackageFrequency},
                                    {"zone_limit", Key::ZoneLimit},
                                    {"departed_total", Key::DepartedTotal},
                                    {"use", Key::Use},
                                    {"departed_use", Key::DepartedUse},
                                    {"cpu_time", Key::CpuTime},
                                    {"notices", Key::Notices},
                                    {"weighing", Key::Weighing},
                                    {"package_weight", Key::PackageWeight},
                                    {"package_shared", Key::PackageShared},
                                    {"package_squared", Key::PackageSquared},
                                    {"departed_total_weight", Key::DepartedTotalWeight},
                                    {"use_weight", Key::UseWeight},
                                    {"departed_weight", Key::DepartedWeight},
                                    {"use_helper", Key::UseHelper},
                                    {"departed_helper", Key::DepartedHelper},
                                    {"vcpus", Key::Vcpus},
                                    {"memory", Key::Memory}}};

/// Of a header, a mark or an error. False: it is none of these.
bool take_other(JsonValue value, Line& line, Key key) {
    switch (key) {
        case Key::Format:
            line.format = string_of(value);
            return true;
        case Key::Version:
            line.version = number_of<uint64_t>(value);
            return true;
        case Key::Program:
            line.program = text_of(value);
            return true;
        case Key::DelayMs:
            line.delay_ms = number_of<uint64_t>(value);
            return true;
        case Key::Hosts:
            list(value, line.hosts, text_of);
            return true;
        case Key::Mark:
            line.mark = string_of(value);
            return true;
        case Key::Number:
            line.number = number_of<uint64_t>(value);
            return true;
        case Key::Error:
            line.error.kind = word_in(value, error_words);
            return true;
        case Key::Errno:
            line.error.error_number = number_of<int>(value);
            return true;
        case Key::Message:
            line.error.message = text_of(value);
            return true;
        default:
            return false;
    }
}

/// What the first recordings did not have. False for other keys.
bool take_weights(JsonValue value, Line& line, Key key) {
    switch (key) {
        case Key::Weighing:
            line.weighing = weighing_of(value);
            return true;
        case Key::PackageWeight:
            figure_lists(value, line.package_weight);
            return true;
        case Key::PackageShared:
            list(value, line.package_shared, number_or_null<uint64_t>);
            return true;
        case Key::PackageSquared:
            list(value, line.package_squared, number_or_null<uint64_t>);
            return true;
        case Key::DepartedTotalWeight:
            list(value, line.departed_total_weight, number_or_null<uint64_t>);
            return true;
        case Key::UseWeight:
            figure_lists(value, line.use_weight);
            return true;
        case Key::DepartedWeight:
            figure_lists(value, line.departed_weight);
            return true;
        case Key::UseHelper:
            usage_lists(value, &Usage::weight, line.use_helper);
            return true;
        case Key::DepartedHelper:
            usage_lists(value, &Usage::weight, line.departed_helper);
            return true;
        case Key::Vcpus:
            list(value, line.vcpus, number_or_null<uint32_t>);
            return true;
        case Key::Memory:
            list(value, line.memory_kib, number_or_null<uint64_t>);
            return true;
        default:
            return false;
    }
}

void take_sample(JsonValue value, Line& line, Key key) {
    switch (key) {
        case Key::Host:
            line.host = number_of<uint64_t>(value);
            break;
        case Key::Time: {
            Tuple in(value);
            line.wall_ns = number_of<int64_t>(in.next());
            line.monotonic_ns = number_of<int64_t>(in.next());
            in.end();
            break;
        }
        case Key::About:
            line.about = about_of(value);
            break;
        case Key::Zones:
            list(value, line.zones, zone_of);
            break;
        case Key::Packages:
            list(value, line.packages, number_of<int64_t>);
            break;
        case Key::Domains:
            list(value, line.domains, domain_of);
            break;
        case Key::Running:
            list(value, line.running, number_of<uint32_t>);
            break;
        case Key::Departed:
            list(value, line.departed, number_of<uint32_t>);
            break;
        case Key::Reading:
            line.reading = reading_of(value);
            break;
        case Key::PackageUse:
            usage_lists(value, &Usage::cycles, line.package_use);
            break;
        case Key::ZoneEnergy:
            list(value, line.zone_energy, counter_of);
            break;
        case Key::PackageFrequency:
            list(value, line.package_frequency_khz, number_or_null<uint64_t>);
            break;
        case Key::ZoneLimit:
            list(value, line.zone_limit_uw, number_or_null<uint64_t>);
            break;
        case Key::DepartedTotal:
            line.departed_total.clear();
            usages(value, &Usage::cycles, line.departed_total.items);
            break;
        case Key::Use:
            usage_lists(value, &Usage::cycles, line.use);
            break;
        case Key::DepartedUse:
            usage_lists(value, &Usage::cycles, line.departed_use);
            break;
        case Key::CpuTime:
            list(value, line.cpu_time_ns, number_or_null<uint64_t>);
            break;
        case Key::Notices:
            list(value, line.notices, text_of);
            break;
        default:
            break;
    }
}

void need(const Line& line, std::initializer_list<Key> keys) {
    for (Key key : keys)
        if (!line.has(key)) throw BadLine{fmt::format("it has no '{}'", word_of(key_words, key))};
}

LineKind kind_of(const Line& line) {
    if (line.has(Key::Format)) {
        if (line.format != recording_format) throw BadLine{"it is no recording of virt-power"};
        need(line, {Key::Version});
        return LineKind::Header;
    }
    if (line.has(Key::Mark)) {
        if (line.mark == "started") return LineKind::Started;
        need(line, {Key::Number});
        if (line.mark == "tick") return LineKind::Tick;
        if (line.mark == "end") return LineKind::End;
        throw BadLine{fmt::format("a mark that is not known: '{}'", line.mark)};
    }
    if (line.has(Key::Error)) {
        need(line, {Key::Host, Key::Message});
        return LineKind::Error;
    }
    need(line, {Key::Host, Key::Time});
    return LineKind::Sample;
}

}  // namespace

struct LineParser::State {
    simdjson::dom::parser parser;
    std::string padded;  ///< simdjson reads some bytes beyond the end
};

LineParser::LineParser() : state_(std::make_unique<State>()) {}
LineParser::~LineParser() = default;

void LineParser::parse(std::string_view text, Line& line) {
    line.keys = 0;
    line.error.error_number = 0;
    state_->padded.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    state_->padded.assign(text);
    JsonValue value;
    auto parsed = state_->parser.parse(state_->padded.data(), text.size(), false);
    if (std::move(parsed).get(value) != simdjson::SUCCESS || !value.is_object())
        throw BadLine{"no JSON object"};
    for (auto [word, item] : must(value.get_object(), "no JSON object")) {
        Key key = value_of(key_words, word).value_or(Key::Unknown);
        if (key == Key::Unknown) continue;
        if (line.has(key)) throw BadLine{fmt::format("'{}' stands there twice", word)};
        line.keys |= Line::bit(key);
        try {
            if (!take_other(item, line, key) && !take_weights(item, line, key)) take_sample(item, line, key);
        } catch (const BadLine& bad) {
            throw BadLine{fmt::format("'{}': {}", word, bad.reason)};
        }
    }
    line.kind = kind_of(line);
}

}  // namespace virt_power
