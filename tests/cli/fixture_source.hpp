// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A Source that plays samples from a JSON file (tests/fixtures/samples).
#ifndef VIRT_POWER_TESTS_CLI_FIXTURE_SOURCE_HPP
#define VIRT_POWER_TESTS_CLI_FIXTURE_SOURCE_HPP

#include <memory>
#include <string>

#include "virt-power/pipeline.hpp"

namespace virt_power::test {

/// One entry of the file per call; the last one again and again. An entry is a
/// sample, {"error": KIND, "message": TEXT} or {"hang": true}.
std::unique_ptr<Source> make_fixture_source(const std::string& path);

}  // namespace virt_power::test

#endif
