// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>

#include <utility>

#include "json_value.hpp"
#include "line.hpp"
#include "text.hpp"
#include "words.hpp"

namespace virt_power {
namespace {

constexpr Words<Key, 28> key_words{{{"format", Key::Format},
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
                                    {"notices", Key::Notices}}};

/// A string, or bytes that are no UTF-8.
std::string text_of(JsonValue value) {
    if (!value.is_object()) return std::string(string_of(value));
    std::optional<std::string> bytes;
    for (auto [key, hex] : must(value.get_object(), "a string should be here"))
        if (key == "hex") bytes = bytes_of_hex(string_of(hex));
    if (!bytes) throw BadLine{"a string, or {\"hex\": pairs of hexadecimal digits}, should be here"};
    return *std::move(bytes);
}

template <typename Value, size_t N>
Value word_in(JsonValue given, const Words<Value, N>& words) {
    std::string_view word = string_of(given);
    std::optional<Value> value = value_of(words, word);
    if (!value) throw BadLine{fmt::format("a word that is not known: '{}'", word)};
    return *value;
}

/// [ns, cycles|null, ns, cycles|null ...]
void usages(JsonValue value, std::vector<Usage>& out) {
    bool has_time = false;
    each(value, [&](JsonValue item) {
        if (std::exchange(has_time, !has_time))
            out.back().cycles = number_or_null<uint64_t>(item);
        else
            out.emplace_back().time_ns = number_of<uint64_t>(item);
    });
    if (has_time) throw BadLine{"pairs of time and cycles should be here"};
}

void usage_lists(JsonValue value, UsageLists& out) {
    out.clear();
    each(value, [&](JsonValue item) {
        usages(item, out.usages);
        out.ends.push_back(out.usages.size());
    });
}

template <typename Item, typename Take>
void list(JsonValue value, std::vector<Item>& out, Take take) {
    out.clear();
    each(value, [&](JsonValue item) { out.push_back(take(item)); });
}

About about_of(JsonValue value) {
    About about;
    unsigned seen = 0;
    for (auto [key, item] : must(value.get_object(), "an object should be here")) {
        if (key == "host")
            about.host = text_of(item), seen |= 1U;
        else if (key == "uri")
            about.uri = text_of(item), seen |= 2U;
        else if (key == "cpus")
            about.cpus = number_of<uint32_t>(item), seen |= 4U;
        else if (key == "status")
            about.status = word_in(item, status_words), seen |= 8U;
        else if (key == "reason")
            about.reason = text_of(item), seen |= 16U;
    }
    if (seen != 31U) throw BadLine{"it must have host, uri, cpus, status and reason"};
    return about;
}

ZoneFacts zone_of(JsonValue value) {
    Tuple in(value);
    ZoneFacts zone;
    zone.name = text_of(in.next());
    zone.type = text_of(in.next());
    zone.package = number_or_null<uint32_t>(in.next());
    zone.source = text_of(in.next());
    zone.counted = boolean_of(in.next());
    zone.static_uw = number_or_null<uint64_t>(in.next());
    in.end();
    return zone;
}

NumberedDomain domain_of(JsonValue value) {
    Tuple in(value);
    NumberedDomain domain;
    domain.number = number_of<uint32_t>(in.next());
    domain.name = text_of(in.next());
    domain.uuid = text_of(in.next());
    domain.instance = number_of<uint64_t>(in.next());
    JsonValue source = in.next();
    if (!source.is_null()) domain.usage_source = word_in(source, usage_words);
    in.end();
    return domain;
}

ReadingFacts reading_of(JsonValue value) {
    Tuple in(value);
    ReadingFacts reading;
    reading.epoch = number_of<uint64_t>(in.next());
    reading.time_ns = number_of<uint64_t>(in.next());
    reading.usage_source = word_in(in.next(), usage_words);
    reading.cycles_gaps = number_or_null<uint64_t>(in.next());
    reading.interval_ns = number_or_null<uint64_t>(in.next());
    reading.vm_count = number_or_null<uint32_t>(in.next());
    in.end();
    return reading;
}

ZoneCounter counter_of(JsonValue value) {
    Tuple in(value);
    ZoneCounter counter;
    counter.energy_uj = number_or_null<uint64_t>(in.next());
    counter.gaps = number_of<uint64_t>(in.next());
    in.end();
    return counter;
}

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
            usage_lists(value, line.package_use);
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
            usages(value, line.departed_total.usages);
            break;
        case Key::Use:
            usage_lists(value, line.use);
            break;
        case Key::DepartedUse:
            usage_lists(value, line.departed_use);
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
        line.keys |= 1U << static_cast<unsigned>(key);
        try {
            if (!take_other(item, line, key)) take_sample(item, line, key);
        } catch (const BadLine& bad) {
            throw BadLine{fmt::format("'{}': {}", word, bad.reason)};
        }
    }
    line.kind = kind_of(line);
}

}  // namespace virt_power
