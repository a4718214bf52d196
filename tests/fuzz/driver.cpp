// SPDX-License-Identifier: LGPL-2.1-or-later
// Stands in for libFuzzer where the compiler has none: runs a target over
// inputs of a fixed generator. usage: fuzz-NAME RUNS
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
/// Valid inputs to start from, each ended by a form feed; every target has some.
extern const char* const fuzz_seeds;

namespace {

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    for (size_t start = 0; start < text.size();) {
        size_t end = std::min(text.find('\f', start), text.size());
        parts.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

std::string mutate(std::string text, std::mt19937& random, const std::vector<std::string>& seeds) {
    auto below = [&](size_t limit) { return limit ? random() % limit : 0; };
    for (size_t rounds = 1 + below(6); rounds > 0; rounds--) {
        size_t at = below(text.size() + 1);
        switch (below(6)) {
            case 0:
                text.insert(at, 1, static_cast<char>(random()));
                break;
            case 1:
                if (at < text.size()) text[at] = static_cast<char>(random());
                break;
            case 2:
                text.resize(at);
                break;
            case 3:
                text.insert(at, seeds[below(seeds.size())]);
                break;
            case 4:
                text.insert(at, std::to_string(static_cast<uint64_t>(random()) << below(33)));
                break;
            default:
                text.erase(at, 1 + below(8));
                break;
        }
    }
    return text;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s RUNS\n", argv[0]);
        return 2;
    }
    std::mt19937 random(20261120);
    std::vector<std::string> seeds = split(fuzz_seeds);
    for (long run = std::strtol(argv[1], nullptr, 10); run > 0; run--) {
        std::string text = mutate(seeds[random() % seeds.size()], random, seeds);
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    }
    return 0;
}
