// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Ordinary least squares with an intercept and up to three columns. Arithmetic only.
#ifndef VIRT_POWER_CALIBRATION_REGRESSION_HPP
#define VIRT_POWER_CALIBRATION_REGRESSION_HPP

#include <cstddef>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

/// One number of a regression, with its standard error.
struct Estimate {
    double value = 0;
    double error = 0;
};

struct Regression {
    std::vector<Estimate> unknowns;  ///< the intercept, then one for each column
    double r_squared = 0;            ///< 1 where the response does not vary and is met
    double deviation = 0;            ///< standard deviation of the residuals
    size_t freedom = 0;              ///< degrees of freedom: rows less unknowns
    /// Of each residual with the next one, -1 to 1. Rows that follow each other in time are often alike.
    double correlation = 0;
};

inline constexpr size_t most_columns = 3;

/// response = intercept + sum of unknowns x columns. All columns are as long as the response, and
/// finite. Unsupported where it cannot be told: fewer rows than unknowns and two more, a column that
/// does not vary, columns that move together. Malformed for a wrong shape.
Result<Regression> regress(const std::vector<double>& response,
                           const std::vector<std::vector<double>>& columns);

/// Half of the width of the interval in which an estimate is with a probability of 95 %: so many
/// times its standard error (Student's t). `freedom` at least 2.
double student_95(size_t freedom);

}  // namespace virt_power

#endif
