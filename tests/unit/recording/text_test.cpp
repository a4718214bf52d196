// SPDX-License-Identifier: LGPL-2.1-or-later
#include "text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace virt_power {
namespace {

TEST(Text, WhatIsNoUtf8IsKeptAsBytes) {
    for (const std::string& text :
         {std::string("plain"), std::string("a\xff\x00z", 4), std::string("\xed\xa0\x80"), std::string(),
          std::string("\xf4\x90\x80\x80"), std::string("\xc0\x80")}) {
        std::string json;
        append_text(json, text);
        bool is_hex = json[0] == '{';
        std::string back;
        if (is_hex)
            back = *bytes_of_hex(json.substr(8, json.size() - 10));
        else
            back = nlohmann::json::parse(json).get<std::string>();
        EXPECT_EQ(back, text) << json;
    }
}

TEST(Text, LinesAreAscii) {
    std::string json;
    append_text(json, "\xc3\xa4\xe2\x80\xae\x1b[31m\x7f\xc2\x9b\xf0\x9f\x98\x80\"\\");
    EXPECT_EQ(json, R"("\u00e4\u202e\u001b[31m\u007f\u009b\ud83d\ude00\"\\")");
}

TEST(Text, HexIsPairsOfDigits) {
    EXPECT_EQ(bytes_of_hex("00fF"), std::string("\0\xff", 2));
    for (const char* text : {"0", "0g", "+1", " 1"}) EXPECT_EQ(bytes_of_hex(text), std::nullopt) << text;
}

}  // namespace
}  // namespace virt_power
