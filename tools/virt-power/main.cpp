// SPDX-License-Identifier: LGPL-2.1-or-later
#include <cstdio>
#include <exception>

#include "tool.hpp"

int main(int argc, char** argv) {
    try {
        return virt_power::run_tool(argc, argv, virt_power::make_libvirt_source);
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "virt-power: %s\n", exception.what());
        return 1;
    }
}
