// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "knob_error.hpp"

namespace virt_power {
namespace {

/// More than every CPU for itself takes, so that nobody keeps us busy with ranges.
constexpr size_t max_length = 32768;

/// Walks over the text as virBitmapParseInternal does.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text), rest_(text) {}

    std::vector<uint32_t> run() {
        if (rest_.size() > max_length) refuse();
        skip_spaces();
        if (rest_.empty()) throw KnobError(KnobErrorKind::InvalidArgument, "the list of CPUs is empty");
        while (!rest_.empty()) item();
        std::vector<uint32_t> cpus;
        for (uint32_t cpu = 0; cpu < max_cpus; cpu++)
            if (chosen_[cpu]) cpus.push_back(cpu);
        if (cpus.empty())
            throw KnobError(KnobErrorKind::InvalidArgument,
                            fmt::format("the list of CPUs {} leaves no CPU", in_quotes(text_)));
        return cpus;
    }

private:
    void item() {
        bool choose = !take('^');
        uint32_t first = number();
        uint32_t last = first;
        skip_spaces();
        if (choose && take('-')) {
            skip_spaces();
            last = number();
            skip_spaces();
        }
        if (last < first) refuse();
        for (uint32_t cpu = first; cpu <= last; cpu++) chosen_[cpu] = choose;
        if (rest_.empty()) return;
        if (!take(',')) refuse();
        skip_spaces();
    }

    uint32_t number() {
        uint32_t value = 0;
        auto [stop, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        bool too_big = error == std::errc::result_out_of_range || (error == std::errc{} && value >= max_cpus);
        if (too_big)
            throw KnobError(
                KnobErrorKind::InvalidArgument,
                fmt::format("the list of CPUs {} has a number above {}, the highest that is taken",
                            in_quotes(text_), max_cpus - 1));
        if (error != std::errc{}) refuse();
        rest_.remove_prefix(static_cast<size_t>(stop - rest_.data()));
        return value;
    }

    bool take(char wanted) {
        if (!rest_.starts_with(wanted)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\f\r"), rest_.size())); }

    [[noreturn]] void refuse() const {
        throw KnobError(
            KnobErrorKind::InvalidArgument,
            fmt::format("{} is not a list of CPUs; write it as 0-3,8 or 0-7,^3", in_quotes(text_)));
    }

    std::string_view text_;
    std::string_view rest_;
    std::vector<bool> chosen_ = std::vector<bool>(max_cpus);
};

}  // namespace

std::vector<uint32_t> parse_cpumap(std::string_view text) { return Parser(text).run(); }

std::string name_cpus(const std::vector<uint32_t>& cpus) {
    return (cpus.size() == 1 ? "CPU " : "CPUs ") + format_cpu_list(cpus);
}

}  // namespace virt_power
