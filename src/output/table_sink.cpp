// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "fd_writer.hpp"
#include "selection.hpp"
#include "table_text.hpp"
#include "utf8.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

constexpr std::string_view enter_screen = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view leave_screen = "\x1b[?25h\x1b[?1049l";
constexpr size_t notices_kept = 3;
constexpr size_t domains_wanted = 3;

void append_lines(std::string& out, const TableText& text) {
    for (const HeadLine& line : text.head) out += line.text + '\n';
    for (const std::string& line : text.domains) out += line + '\n';
    for (const std::string& line : text.others) out += line + '\n';
}

/// Appends each tick, without escapes.
class PlainTable : public Sink {
public:
    PlainTable(int fd, const TableOptions& options)
        : writer_(fd, options.common.stop_fd),
          selection_(options.common),
          host_column_(options.host_column) {}

    Status write(const std::vector<Interval>& intervals) override {
        if (intervals.empty()) return ok();
        Table table(intervals, selection_.take(intervals), host_column_, false);
        std::string out = first_ ? "" : "\n";
        first_ = false;
        append_lines(out, table.lay_out(std::nullopt));
        return writer_.write(out);
    }

private:
    FdWriter writer_;
    Selection selection_;
    bool host_column_;
    bool first_ = true;
};

/// Redraws in place. What was shown last stays behind on the normal screen.
class TerminalTable : public Sink {
public:
    TerminalTable(int fd, const TableOptions& options)
        : fd_(fd),
          writer_(fd, options.common.stop_fd),
          selection_(options.common),
          host_column_(options.host_column) {}

    TerminalTable(const TerminalTable&) = delete;
    TerminalTable& operator=(const TerminalTable&) = delete;

    ~TerminalTable() override {
        std::string out;
        if (entered_) out += leave_screen;
        append_lines(out, table_.lay_out(size().ws_col));
        for (const std::string& notice : notices_) out += notice + "\n";
        writer_.write_last(out);
    }

    /// Without intervals: draws again what is there, as after a change of size.
    Status write(const std::vector<Interval>& intervals) override {
        if (!intervals.empty()) table_ = Table(intervals, selection_.take(intervals), host_column_, true);
        if (in_background()) return ok();
        std::string out;
        if (!entered_) out += enter_screen;
        entered_ = true;
        draw(out);
        return writer_.write(out);
    }

    void notice(std::string_view line) override {
        notices_.push_back(escape_for_terminal(line));
        if (notices_.size() > notices_kept) notices_.pop_front();
    }

    void suspend() override {
        if (entered_) writer_.write_last(leave_screen);
        entered_ = false;
    }

private:
    /// Then the terminal is somebody else's.
    [[nodiscard]] bool in_background() const {
        pid_t group = tcgetpgrp(fd_);
        return group > 0 && group != getpgrp();
    }

    [[nodiscard]] winsize size() const {
        winsize size{};
        if (ioctl(fd_, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
            size.ws_row = 24;
            size.ws_col = 80;
        }
        return size;
    }

    /// Leaves out what may go of the head, from its end, until some domains are seen.
    static void shorten(std::vector<HeadLine>& head, size_t lines_of_others, size_t height) {
        for (size_t i = head.size(); i > 0 && head.size() + lines_of_others > height; --i)
            if (head[i - 1].may_go) head.erase(head.begin() + static_cast<ptrdiff_t>(i - 1));
    }

    /// As many lines as fit; of the domains, the first ones.
    [[nodiscard]] std::vector<std::string> fitting(const winsize& space) const {
        TableText text = table_.lay_out(space.ws_col);
        size_t height = space.ws_row;
        std::vector<std::string> lines(notices_.begin(), notices_.end());
        size_t wanted = std::min(text.domains.size(), domains_wanted);
        shorten(text.head, lines.size() + text.others.size() + wanted, height);
        for (HeadLine& line : text.head) lines.push_back(std::move(line.text));
        size_t fixed = lines.size() + text.others.size();
        size_t room = height > fixed ? height - fixed : 0;
        size_t shown = text.domains.size() <= room ? text.domains.size() : (room == 0 ? 0 : room - 1);
        lines.insert(lines.end(), text.domains.begin(), text.domains.begin() + static_cast<ptrdiff_t>(shown));
        if (shown < text.domains.size() && room != 0)
            lines.push_back(fmt::format("... and {} more domains", text.domains.size() - shown));
        lines.insert(lines.end(), text.others.begin(), text.others.end());
        if (lines.empty()) lines.emplace_back("virt-power: waiting for the first interval");
        if (lines.size() > height) lines.resize(height);
        return lines;
    }

    void draw(std::string& out) const {
        winsize space = size();
        out += "\x1b[H";
        bool first = true;
        for (const std::string& line : fitting(space)) {
            if (!first) out += "\r\n";
            first = false;
            out += "\x1b[2K" + clip(line, space.ws_col);
        }
        out += "\x1b[J";
    }

    int fd_;
    FdWriter writer_;
    Selection selection_;
    bool host_column_;
    bool entered_ = false;
    Table table_;
    std::deque<std::string> notices_;
};

}  // namespace

std::unique_ptr<Sink> make_table_sink(int fd, const TableOptions& options) {
    if (options.terminal) return std::make_unique<TerminalTable>(fd, options);
    return std::make_unique<PlainTable>(fd, options);
}

}  // namespace virt_power
