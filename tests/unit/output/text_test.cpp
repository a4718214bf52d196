// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "utf8.hpp"
#include "uuid.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

std::string as_json(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

TEST(Escape, LeavesPrintableTextAlone) {
    EXPECT_EQ(escape_for_terminal("web-1 größe 日本"), "web-1 größe 日本");
}

TEST(Escape, ShowsControlCharacters) {
    EXPECT_EQ(escape_for_terminal("a\nb\tc\rd"), "a\\nb\\tc\\rd");
    EXPECT_EQ(escape_for_terminal("\x1b[2J"), "\\x1b[2J");
    EXPECT_EQ(escape_for_terminal(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
}

TEST(Escape, ShowsC1AndBidirectionalControls) {
    EXPECT_EQ(escape_for_terminal("\xc2\x9b"
                                  "31m"),
              "\\u009b31m");
    EXPECT_EQ(escape_for_terminal("\xe2\x80\xae"), "\\u202e");
    EXPECT_EQ(escape_for_terminal("\xe2\x81\xa6"), "\\u2066");
    EXPECT_EQ(escape_for_terminal("\xf3\xa0\x81\x81"), "\\U000e0041");
}

TEST(Escape, ShowsWhatIsNotSeen) {
    // Fillers of Hangul, a joiner, a blank of Braille, spaces that are none.
    const std::vector<std::pair<std::string, std::string>> cases{
        {"\u115f", "\\u115f"}, {"\u1160", "\\u1160"}, {"\u3164", "\\u3164"},         {"\uffa0", "\\uffa0"},
        {"\u034f", "\\u034f"}, {"\u2800", "\\u2800"}, {"\u00a0", "\\u00a0"},         {"\u2003", "\\u2003"},
        {"\u3000", "\\u3000"}, {"\u180b", "\\u180b"}, {"\U0001d173", "\\U0001d173"}, {"\u202f", "\\u202f"}};
    for (const auto& [text, shown] : cases) EXPECT_EQ(escape_for_terminal("a" + text), "a" + shown);
    EXPECT_EQ(escape_for_terminal("\u1161\u3163\uff9f"), "\u1161\u3163\uff9f");
}

TEST(Escape, ShowsInvalidBytes) {
    EXPECT_EQ(escape_for_terminal("\xff"), "\\xff");
    EXPECT_EQ(escape_for_terminal("\x9b"), "\\x9b");
    EXPECT_EQ(escape_for_terminal("\xc3"), "\\xc3");
    EXPECT_EQ(escape_for_terminal("\xc0\x9b"), "\\xc0\\x9b");           // overlong
    EXPECT_EQ(escape_for_terminal("\xe0\x82\x9b"), "\\xe0\\x82\\x9b");  // overlong
    EXPECT_EQ(escape_for_terminal("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
    EXPECT_EQ(escape_for_terminal("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(Escape, CannotBeMistakenForTheRealThing) { EXPECT_EQ(escape_for_terminal("\\n"), "\\\\n"); }

TEST(Json, StringsAreValidAndComeBack) {
    for (const std::string text : {"plain", "quote\" back\\slash", "line\nbreak \x1b[31m",
                                   "\xe2\x80\xae bidi", "\xf3\xa0\x81\x81 tag", "\xc2\x9b c1", "größe"}) {
        std::string json = as_json(text);
        EXPECT_EQ(nlohmann::json::parse(json).get<std::string>(), text);
        for (char c : json) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
        EXPECT_EQ(json.find("\xc2\x9b"), std::string::npos);
        EXPECT_EQ(json.find("\xe2\x80\xae"), std::string::npos);
    }
}

TEST(Json, InvalidBytesAreReplaced) {
    EXPECT_EQ(nlohmann::json::parse(as_json("a\xff")).get<std::string>(), "a\xef\xbf\xbd");
}

TEST(Csv, QuotesWhatNeedsIt) {
    EXPECT_EQ(csv_field("plain"), "plain");
    EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
    EXPECT_EQ(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
    EXPECT_EQ(csv_field("a\nb"), "a\\nb");
}

TEST(Csv, HoldsTheNameItself) {
    EXPECT_EQ(csv_field("back\\slash"), "back\\slash");
    EXPECT_EQ(csv_field("(static power)"), "(static power)");
    EXPECT_EQ(csv_field("größe"), "größe");
    EXPECT_EQ(csv_field("\u202e"), "\\u202e");
}

TEST(Uuid, IsTakenInEverySpelling) {
    const std::string canonical = "6d1b0000-0000-4000-8000-00000000000a";
    for (const char* text : {"6d1b0000-0000-4000-8000-00000000000a", "6D1B0000-0000-4000-8000-00000000000A",
                             "6d1b000000004000800000000000000a", "6d1b-0000-0000-4000-8000-0000-0000-000A"})
        EXPECT_EQ(canonical_uuid(text), canonical) << text;
    for (const char* text : {"", "web", "6d1b000000004000800000000000000",
                             "6d1b000000004000800000000000000a0", "6d1b000000004000800000000000000g",
                             "-6d1b000000004000800000000000000a", "6d1b000000004000800000000000000a-",
                             "6-d1b000000004000800000000000000a", "6d--1b000000004000800000000000000a"})
        EXPECT_EQ(canonical_uuid(text), std::nullopt) << text;
}

TEST(Width, CountsColumns) {
    EXPECT_EQ(display_width("abc"), 3U);
    EXPECT_EQ(display_width("größe"), 5U);
    EXPECT_EQ(display_width("日本"), 4U);
    EXPECT_EQ(display_width("e\xcc\x81"), 1U);
}

TEST(Width, ClipsAtWholeCharacters) {
    EXPECT_EQ(clip("abc", 3), "abc");
    EXPECT_EQ(clip("abcd", 3), "ab~");
    EXPECT_EQ(clip("日本語", 4), "日~");
    EXPECT_EQ(clip("größer", 5), "größ~");
    EXPECT_EQ(clip("abc", 0), "");
}

}  // namespace
}  // namespace virt_power
