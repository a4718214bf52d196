// SPDX-License-Identifier: LGPL-2.1-or-later
#include "regression.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace virt_power {
namespace {

using testing::HasSubstr;
using Column = std::vector<double>;

constexpr double near = 1e-9;

TEST(Regression, a_line_of_a_textbook) {
    // x 1..5, y 2 4 5 4 5: slope 0.6, intercept 2.2; residual variance 0.8.
    Result<Regression> found = regress({2, 4, 5, 4, 5}, {{1, 2, 3, 4, 5}});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_NEAR(found->unknowns[0].value, 2.2, near);
    EXPECT_NEAR(found->unknowns[1].value, 0.6, near);
    EXPECT_NEAR(found->unknowns[1].error, std::sqrt(0.8 / 10), near);
    EXPECT_NEAR(found->unknowns[0].error, std::sqrt(0.8 * (1.0 / 5 + 9.0 / 10)), near);
    EXPECT_NEAR(found->r_squared, 0.6, near);
    EXPECT_NEAR(found->deviation, std::sqrt(0.8), near);
    EXPECT_EQ(found->freedom, 3U);
}

TEST(Regression, four_unknowns_are_found_exactly_whatever_their_size) {
    Column a, b, c, y;
    for (int n = 0; n < 12; n++) {
        a.push_back(1e9 + 1e6 * n);
        b.push_back(n * n);
        c.push_back(1e-6 * (n % 3));
        y.push_back(12e6 + 3e-3 * a.back() - 7 * b.back() + 5e11 * c.back());
    }
    Result<Regression> found = regress(y, {a, b, c});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_NEAR(found->unknowns[0].value, 12e6, 1);
    EXPECT_NEAR(found->unknowns[1].value, 3e-3, 1e-9);
    EXPECT_NEAR(found->unknowns[2].value, -7, 1e-5);
    EXPECT_NEAR(found->unknowns[3].value, 5e11, 1e3);
    EXPECT_NEAR(found->r_squared, 1, near);
}

TEST(Regression, errors_tell_how_far_off_it_is) {
    std::mt19937 random(1);
    std::normal_distribution<double> noise(0, 2);
    int within = 0, runs = 400;
    for (int run = 0; run < runs; run++) {
        Column x, y;
        for (int n = 0; n < 30; n++) {
            x.push_back(n);
            y.push_back(10 + 0.5 * n + noise(random));
        }
        Result<Regression> found = regress(y, {x});
        ASSERT_TRUE(found);
        const Estimate& intercept = found->unknowns[0];
        within += std::fabs(intercept.value - 10) <= student_95(found->freedom) * intercept.error;
    }
    EXPECT_NEAR(within, 0.95 * runs, 0.03 * runs);
}

TEST(Regression, residuals_of_neighbours_may_be_alike) {
    Column x, y;
    for (int n = 0; n < 100; n++) {
        x.push_back(n % 7);
        y.push_back(x.back() + (n / 10 % 2 == 0 ? 1 : -1));
    }
    Result<Regression> found = regress(y, {x});
    ASSERT_TRUE(found);
    EXPECT_GT(found->correlation, 0.7);
}

TEST(Regression, what_cannot_be_told_is_refused) {
    Column y{1, 2, 3, 4, 5, 6}, x{1, 2, 3, 4, 5, 7}, twice{2, 4, 6, 8, 10, 14};
    EXPECT_THAT(regress(y, {x, twice}).error().message, HasSubstr("move together"));
    Column nearly = twice;
    nearly[2] += 1e-3;
    EXPECT_THAT(regress(y, {x, nearly}).error().message, HasSubstr("move together"));
    EXPECT_THAT(regress(y, {Column(6, 3.25)}).error().message, HasSubstr("does not vary"));
    EXPECT_THAT(regress({1, 2, 3}, {{1, 2, 4}}).error().message, HasSubstr("too few"));
    EXPECT_EQ(regress(y, {{1, 2, 3}}).error().kind, ErrorKind::Malformed);
    EXPECT_EQ(regress(y, {x, x, x, x}).error().kind, ErrorKind::Malformed);
}

TEST(Regression, a_response_that_does_not_vary_has_no_slope) {
    Result<Regression> found = regress(Column(6, 5), {{1, 2, 3, 4, 5, 7}});
    ASSERT_TRUE(found);
    EXPECT_NEAR(found->unknowns[0].value, 5, near);
    EXPECT_NEAR(found->unknowns[1].value, 0, near);
    EXPECT_EQ(found->r_squared, 1);
}

TEST(Regression, student_as_in_the_tables) {
    EXPECT_NEAR(student_95(4), 2.776, 0.01);
    EXPECT_NEAR(student_95(10), 2.228, 0.001);
    EXPECT_NEAR(student_95(30), 2.042, 0.001);
    EXPECT_NEAR(student_95(100'000), 1.960, 0.001);
}

}  // namespace
}  // namespace virt_power
