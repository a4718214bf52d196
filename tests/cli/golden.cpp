// SPDX-License-Identifier: LGPL-2.1-or-later
// virt-power-golden: for tests only, never installed. It is virt-power but for
// its source: `-c FILE` plays the samples of a JSON file, so that the output
// can be compared to the letter without a daemon.
#include <cstdio>
#include <exception>

#include "fixture_source.hpp"
#include "tool.hpp"

int main(int argc, char** argv) {
    try {
        return virt_power::run_tool(argc, argv, [](const virt_power::LibvirtOptions& options) {
            return virt_power::test::make_fixture_source(options);
        });
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "virt-power-golden: %s\n", exception.what());
        return 1;
    }
}
