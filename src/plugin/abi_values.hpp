// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The C ABI's values and ours.
#ifndef VIRT_POWER_PLUGIN_ABI_VALUES_HPP
#define VIRT_POWER_PLUGIN_ABI_VALUES_HPP

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "host_knobs.hpp"
#include "log.hpp"
#include "reading_codec.hpp"
#include "virt-power/host_power_plugin.h"

namespace virt_power {

/// One line for the daemon's log or a client, whatever a file held that the message quotes.
/// Cut to `longest` bytes.
std::string printable(std::string_view message, size_t longest = 500);
HostPowerLogLevel to_level(LogLevel level);

/// A ParamSink, by std::ref(): hands over to a callback, until that has enough.
class EmitSink {
public:
    EmitSink(HostPowerEmit emit, void* opaque) : emit_(emit), opaque_(opaque) {}
    bool operator()(std::string_view name, const ParamValue& param);

private:
    HostPowerEmit emit_;
    void* opaque_;
    fmt::basic_memory_buffer<char, 128> name_;  ///< as long as names are, it needs no memory of its own
};
void emit_params(const Params& params, HostPowerEmit emit, void* opaque);

std::optional<KnobTopic> topic_of(HostPowerKnob knob);
HostPowerError to_error(KnobErrorKind kind);
/// A type that is not known gives an int, which is nobody's type.
Param to_param(const HostPowerParam& given);

}  // namespace virt_power

#endif
