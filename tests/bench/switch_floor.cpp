// SPDX-License-Identifier: LGPL-2.1-or-later
// Holds a program that does little on the context switch, beside whatever else is there, until its input
// ends. What that takes the kernel's statistics tell.
//
// usage: switch-floor [PID]...
// Adds one to a number in a map; with PIDs, to that of the process that leaves the CPU.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "children.hpp"
#include "counting.hpp"

using virt_power::bench::BareProgram;

int main(int argc, char** argv) {
    try {
        std::vector<pid_t> pids;
        for (int n = 1; n < argc; n++) pids.push_back(std::atoi(argv[n]));
        BareProgram program = pids.empty() ? BareProgram::least() : BareProgram::lookup(pids);
        std::puts("counts");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "switch-floor: %s\n", error.what());
        return 1;
    }
    return 0;
}
