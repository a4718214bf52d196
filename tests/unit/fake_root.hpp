// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A tree of files that stands in for / and is gone after the test.
#ifndef VIRT_POWER_TESTS_FAKE_ROOT_HPP
#define VIRT_POWER_TESTS_FAKE_ROOT_HPP

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace virt_power {

class FakeRoot {
public:
    FakeRoot() {
        std::string name = (std::filesystem::temp_directory_path() / "virt-power-test.XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    ~FakeRoot() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    FakeRoot(const FakeRoot&) = delete;
    FakeRoot& operator=(const FakeRoot&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    FakeRoot& file(const std::string& name, std::string_view text) {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name, std::ios::trunc) << text;
        return *this;
    }
    FakeRoot& link(const std::string& name, const std::string& target) {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::filesystem::create_symlink(path_ / target, path_ / name);
        return *this;
    }
    void remove(const std::string& name) { std::filesystem::remove_all(path_ / name); }

    /// CPUs 0 to N-1, with the package of each.
    FakeRoot& cpus(const std::string& online, const std::vector<int>& packages) {
        file("sys/devices/system/cpu/online", online + "\n");
        for (size_t cpu = 0; cpu < packages.size(); cpu++)
            file("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id",
                 std::to_string(packages[cpu]) + "\n");
        return *this;
    }

private:
    std::filesystem::path path_;
};

}  // namespace virt_power

#endif
