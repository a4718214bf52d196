// SPDX-License-Identifier: LGPL-2.1-or-later
#include "abi_values.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace virt_power {
namespace {

struct ToHostPower {
    HostPowerValue& value;

    HostPowerType operator()(int32_t number) const { return value.i = number, HOST_POWER_INT; }
    HostPowerType operator()(uint32_t number) const { return value.ui = number, HOST_POWER_UINT; }
    HostPowerType operator()(int64_t number) const { return value.l = number, HOST_POWER_LLONG; }
    HostPowerType operator()(uint64_t number) const { return value.ul = number, HOST_POWER_ULLONG; }
    HostPowerType operator()(double number) const { return value.d = number, HOST_POWER_DOUBLE; }
    HostPowerType operator()(bool flag) const { return value.b = flag ? 1 : 0, HOST_POWER_BOOLEAN; }
    HostPowerType operator()(const std::string& text) const {
        return value.s = text.c_str(), HOST_POWER_STRING;
    }
};

}  // namespace

std::string printable(std::string_view message, size_t longest) {
    std::string line;
    for (char c : message.substr(0, longest)) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f)
            line += fmt::format("\\x{:02x}", byte);
        else
            line += c;
    }
    return line;
}

HostPowerLogLevel to_level(LogLevel level) {
    switch (level) {
        case LogLevel::Debug:
            return HOST_POWER_LOG_DEBUG;
        case LogLevel::Info:
            return HOST_POWER_LOG_INFO;
        case LogLevel::Warning:
            return HOST_POWER_LOG_WARN;
        case LogLevel::Error:
            break;
    }
    return HOST_POWER_LOG_ERROR;
}

bool EmitSink::operator()(std::string_view name, const ParamValue& param) {
    HostPowerValue value{};
    HostPowerType type = std::visit(ToHostPower{value}, param);
    name_.clear();
    name_.append(name);
    name_.push_back('\0');
    return emit_(opaque_, name_.data(), type, &value) == 0;
}

void emit_params(const Params& params, HostPowerEmit emit, void* opaque) {
    EmitSink sink(emit, opaque);
    for (const Param& param : params)
        if (!sink(param.name, param.value)) return;
}

std::optional<KnobTopic> topic_of(HostPowerKnob knob) {
    switch (knob) {
        case HOST_POWER_KNOB_GOVERNOR:
            return KnobTopic::Governor;
        case HOST_POWER_KNOB_FREQUENCY:
            return KnobTopic::Frequency;
        case HOST_POWER_KNOB_RAPL_LIMIT:
            return KnobTopic::RaplLimit;
    }
    return std::nullopt;
}

HostPowerError to_error(KnobErrorKind kind) {
    switch (kind) {
        case KnobErrorKind::InvalidArgument:
            return HOST_POWER_ERROR_INVALID_ARG;
        case KnobErrorKind::Unsupported:
            return HOST_POWER_ERROR_UNSUPPORTED;
        case KnobErrorKind::OperationInvalid:
            return HOST_POWER_ERROR_OPERATION_INVALID;
        case KnobErrorKind::Timeout:
            return HOST_POWER_ERROR_TIMEOUT;
        case KnobErrorKind::Failed:
            break;
    }
    return HOST_POWER_ERROR_SYSTEM;
}

Param to_param(const HostPowerParam& given) {
    Param param{given.name ? given.name : "", {}};
    // A number that is none of the enumeration's may not even be read as one.
    int type = 0;
    static_assert(sizeof(type) == sizeof(given.type));
    std::memcpy(&type, &given.type, sizeof(type));
    switch (type) {
        case HOST_POWER_INT:
            param.value = given.value.i;
            break;
        case HOST_POWER_UINT:
            param.value = given.value.ui;
            break;
        case HOST_POWER_LLONG:
            param.value = given.value.l;
            break;
        case HOST_POWER_ULLONG:
            param.value = given.value.ul;
            break;
        case HOST_POWER_DOUBLE:
            param.value = given.value.d;
            break;
        case HOST_POWER_BOOLEAN:
            param.value = given.value.b != 0;
            break;
        case HOST_POWER_STRING:
            param.value = std::string(given.value.s ? given.value.s : "");
            break;
    }
    return param;
}

}  // namespace virt_power
