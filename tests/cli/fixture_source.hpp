// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A Source that plays samples from a JSON file (tests/fixtures/samples).
#ifndef VIRT_POWER_TESTS_CLI_FIXTURE_SOURCE_HPP
#define VIRT_POWER_TESTS_CLI_FIXTURE_SOURCE_HPP

#include <memory>
#include <string>

#include "virt-power/pipeline.hpp"

namespace virt_power::test {

/// The URI is the file's path. One entry of it per call; the last one again and again. An entry is a
/// sample, {"error": KIND, "message": TEXT} or {"hang": true}.
std::unique_ptr<Source> make_fixture_source(const LibvirtOptions& options);

}  // namespace virt_power::test

#endif
