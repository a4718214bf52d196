// SPDX-License-Identifier: LGPL-2.1-or-later
#include "line_items.hpp"

#include "text.hpp"

namespace virt_power {

std::string text_of(JsonValue value) {
    if (!value.is_object()) return std::string(string_of(value));
    std::optional<std::string> bytes;
    for (auto [key, hex] : must(value.get_object(), "a string should be here"))
        if (key == "hex") bytes = bytes_of_hex(string_of(hex));
    if (!bytes) throw BadLine{"a string, or {\"hex\": pairs of hexadecimal digits}, should be here"};
    return *std::move(bytes);
}

void usages(JsonValue value, std::optional<uint64_t> Usage::*other, std::vector<Usage>& out) {
    bool has_time = false;
    each(value, [&](JsonValue item) {
        if (std::exchange(has_time, !has_time))
            out.back().*other = number_or_null<uint64_t>(item);
        else
            out.emplace_back().time_ns = number_of<uint64_t>(item);
    });
    if (has_time) throw BadLine{"pairs of numbers should be here"};
}

void usage_lists(JsonValue value, std::optional<uint64_t> Usage::*other, Lists<Usage>& out) {
    out.clear();
    each(value, [&](JsonValue item) {
        usages(item, other, out.items);
        out.ends.push_back(out.items.size());
    });
}

void figure_lists(JsonValue value, Lists<std::optional<uint64_t>>& out) {
    out.clear();
    each(value, [&](JsonValue item) {
        each(item, [&](JsonValue figure) { out.items.push_back(number_or_null<uint64_t>(figure)); });
        out.ends.push_back(out.items.size());
    });
}

std::optional<Weighing> weighing_of(JsonValue value) {
    if (value.is_null()) return std::nullopt;
    Tuple in(value);
    Weighing weighing;
    weighing.shared_permille = number_of<uint32_t>(in.next());
    weighing.cycle_permille = number_of<uint32_t>(in.next());
    weighing.square_permille = number_of<uint32_t>(in.next());
    weighing.measured = boolean_of(in.next());
    in.end();
    return weighing;
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

}  // namespace virt_power
