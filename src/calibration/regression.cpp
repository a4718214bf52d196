// SPDX-License-Identifier: LGPL-2.1-or-later
#include "regression.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace virt_power {
namespace {

/// What is left of a column's variance when the others' part is taken out of it, at the least.
constexpr double least_own_variance = 1e-4;
/// A column's deviation over its largest value, at the least: below it, rounding is all that varies.
constexpr double least_spread = 1e-9;

using Matrix = std::array<std::array<double, most_columns>, most_columns>;

Error untold(const char* message) { return {ErrorKind::Unsupported, 0, message}; }

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double mean_of(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// A column less its mean, in units of its own length: numbers of any size are alike then.
struct Column {
    double mean = 0, length = 0;
    std::vector<double> values;
};

Result<Column> centre(const std::vector<double>& values) {
    Column column{mean_of(values), 0, values};
    double largest = 0;
    for (double& value : column.values) {
        largest = std::max(largest, std::fabs(value));
        value -= column.mean;
    }
    column.length = std::sqrt(dot(column.values, column.values));
    if (!(column.length > least_spread * largest * std::sqrt(static_cast<double>(values.size()))))
        return untold("a column does not vary");
    for (double& value : column.values) value /= column.length;
    return column;
}

/// The inverse of the columns' correlations, by Gauss and Jordan. False where they move together.
bool invert(Matrix a, size_t size, Matrix& inverse) {
    inverse = {};
    for (size_t n = 0; n < size; n++) inverse[n][n] = 1;
    for (size_t pivot = 0; pivot < size; pivot++) {
        // The matrix is positive definite: its pivots need no search.
        double scale = a[pivot][pivot];
        if (!(scale > least_own_variance)) return false;
        for (size_t n = 0; n < size; n++) {
            a[pivot][n] /= scale;
            inverse[pivot][n] /= scale;
        }
        for (size_t row = 0; row < size; row++) {
            if (row == pivot) continue;
            double factor = a[row][pivot];
            for (size_t n = 0; n < size; n++) {
                a[row][n] -= factor * a[pivot][n];
                inverse[row][n] -= factor * inverse[pivot][n];
            }
        }
    }
    for (size_t n = 0; n < size; n++)
        if (1 / inverse[n][n] < least_own_variance) return false;
    return true;
}

double correlation_of(const std::vector<double>& residuals, double squares) {
    double product = 0;
    for (size_t n = 1; n < residuals.size(); n++) product += residuals[n - 1] * residuals[n];
    return squares > 0 ? std::clamp(product / squares, -1.0, 1.0) : 0;
}

}  // namespace

Result<Regression> regress(const std::vector<double>& response,
                           const std::vector<std::vector<double>>& columns) {
    size_t rows = response.size(), size = columns.size();
    bool formed =
        size <= most_columns && std::all_of(columns.begin(), columns.end(),
                                            [&](const auto& column) { return column.size() == rows; });
    if (!formed) return Error{ErrorKind::Malformed, 0, "columns and response are of different length"};
    if (rows < size + 3) return untold("there are too few rows");
    std::vector<Column> centred;
    for (const std::vector<double>& column : columns) {
        Result<Column> one = centre(column);
        if (!one) return one.error();
        centred.push_back(*std::move(one));
    }
    Matrix correlations{}, inverse{};
    for (size_t a = 0; a < size; a++)
        for (size_t b = 0; b < size; b++) correlations[a][b] = dot(centred[a].values, centred[b].values);
    if (!invert(correlations, size, inverse)) return untold("two columns move together");

    const double mean = mean_of(response);
    std::vector<double> residuals = response;
    for (double& value : residuals) value -= mean;
    const double total = dot(residuals, residuals);
    std::array<double, most_columns> with_response{}, scaled{};
    for (size_t n = 0; n < size; n++) with_response[n] = dot(centred[n].values, residuals);
    for (size_t a = 0; a < size; a++)
        for (size_t b = 0; b < size; b++) scaled[a] += inverse[a][b] * with_response[b];
    for (size_t n = 0; n < size; n++)
        for (size_t row = 0; row < rows; row++) residuals[row] -= scaled[n] * centred[n].values[row];

    Regression found;
    found.freedom = rows - size - 1;
    const double squares = dot(residuals, residuals);
    const double variance = squares / static_cast<double>(found.freedom);
    found.deviation = std::sqrt(variance);
    found.r_squared = total > 0 ? std::max(0.0, 1 - squares / total) : 1;
    found.correlation = correlation_of(residuals, squares);
    Estimate intercept{mean, 1 / static_cast<double>(rows)};
    found.unknowns.resize(1);
    for (size_t a = 0; a < size; a++) {
        found.unknowns.push_back(
            {scaled[a] / centred[a].length, std::sqrt(variance * inverse[a][a]) / centred[a].length});
        intercept.value -= found.unknowns.back().value * centred[a].mean;
        for (size_t b = 0; b < size; b++)
            intercept.error +=
                centred[a].mean / centred[a].length * inverse[a][b] * centred[b].mean / centred[b].length;
    }
    intercept.error = std::sqrt(variance * intercept.error);
    found.unknowns[0] = intercept;
    return found;
}

double student_95(size_t freedom) {
    // Cornish and Fisher's expansion about the normal distribution, and the two that it does not meet.
    if (freedom <= 2) return 4.303;
    if (freedom == 3) return 3.182;
    const double z = 1.959964, n = static_cast<double>(freedom);
    const double z3 = std::pow(z, 3), z5 = std::pow(z, 5), z7 = std::pow(z, 7);
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

}  // namespace virt_power
