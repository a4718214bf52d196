// SPDX-License-Identifier: LGPL-2.1-or-later
#include "virt-power/pipeline.hpp"

namespace virt_power {

Sink::~Sink() = default;

void Sink::notice(std::string_view /*line*/) {}

void Sink::suspend() {}

}  // namespace virt_power
