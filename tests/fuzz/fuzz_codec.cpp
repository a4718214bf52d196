// SPDX-License-Identifier: LGPL-2.1-or-later
// decode_record(): what a daemon may send. A line is a parameter: a type's digit,
// a name, '=' and a value. What is decoded must encode to itself.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "reading_codec.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    "3energy.host.epoch=1\n3energy.host.time=2\n6energy.host.usage=bpf\n1energy.package.count=1\n"
    "0energy.package.0.id=0\n3energy.package.0.host.time=9\n3energy.package.0.vms.time=3\n"
    "3energy.package.0.frequency=8\n"
    "1energy.zone.count=1\n6energy.zone.0.name=package-0\n6energy.zone.0.type=package\n"
    "6energy.zone.0.source=powercap\n5energy.zone.0.counted=1\n3energy.zone.0.energy=7\n"
    "1energy.zone.0.package=0\n3energy.zone.0.static=9\n3energy.zone.0.limit=6\n1energy.departed.count=0\n\f"
    "6energy.status=ok\n3energy.instance=5\n3energy.package.0.time=1\n3energy.package.0.cycles=2\n6energy."
    "usage=proc\n\f"
    "1energy.departed.count=1\n6energy.departed.0.name=a\n6energy.departed.0.uuid=b\n3energy.departed.0."
    "instance=1\n"
    "3energy.departed.0.package.0.time=4\n3energy.departed.package.0.time=4\n";

namespace {

ParamValue value_of(char type, std::string_view text) {
    uint64_t number = std::strtoull(std::string(text).c_str(), nullptr, 10);
    switch (type) {
        case '0':
            return static_cast<int32_t>(number);
        case '1':
            return static_cast<uint32_t>(number);
        case '2':
            return static_cast<int64_t>(number);
        case '3':
            return number;
        case '4':
            return static_cast<double>(number);
        case '5':
            return number != 0;
        default:
            return std::string(text);
    }
}

void check_round_trip(const DecodedRecord& record) {
    std::vector<Param> params;
    ParamSink sink = [&](std::string_view name, const ParamValue& value) {
        params.push_back({std::string(name), value});
        return true;
    };
    if (record.host) encode_host(*record.host, sink);
    if (record.domain) encode_domain(*record.domain, sink);
    Result<DecodedRecord> again = decode_record(params);
    if (!again || again->host != record.host || again->domain != record.domain) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    std::vector<Param> params;
    while (!rest.empty()) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        size_t equals = line.find('=');
        if (line.empty() || equals == std::string_view::npos || equals == 0) continue;
        params.push_back(
            {std::string(line.substr(1, equals - 1)), value_of(line[0], line.substr(equals + 1))});
    }
    Result<DecodedRecord> record = decode_record(params);
    if (record) check_round_trip(*record);
    return 0;
}
