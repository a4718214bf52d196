// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A BPF array (BPF_F_MMAPABLE) in this process's memory. mmap(2)
#ifndef VIRT_POWER_HOST_MAPPED_ARRAY_HPP
#define VIRT_POWER_HOST_MAPPED_ARRAY_HPP

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "virt-power/result.hpp"

namespace virt_power {

/// Others write meanwhile: read what they write by load_once().
template <typename T>
class MappedArray {
    static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);

public:
    MappedArray() = default;
    MappedArray(MappedArray&& other) noexcept : items_(std::exchange(other.items_, {})) {}
    MappedArray& operator=(MappedArray&& other) noexcept {
        std::swap(items_, other.items_);
        return *this;
    }
    ~MappedArray() {
        if (!items_.empty()) ::munmap(items_.data(), items_.size_bytes());
    }

    static Result<MappedArray> map(int descriptor, size_t count) {
        void* memory = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (memory == MAP_FAILED) return Error{ErrorKind::Unsupported, errno, "cannot map a BPF array"};
        MappedArray array;
        array.items_ = {static_cast<T*>(memory), count};
        return array;
    }

    T& operator[](size_t n) { return items_[n]; }
    const T& operator[](size_t n) const { return items_[n]; }
    [[nodiscard]] size_t size() const { return items_.size(); }
    std::span<T> all() { return items_; }

private:
    std::span<T> items_;
};

template <typename T>
T load_once(const T& value) {
    return __atomic_load_n(&value, __ATOMIC_RELAXED);
}

/// What was written before is seen before this.
template <typename T>
void store_last(T& to, T value) {
    __atomic_store_n(&to, value, __ATOMIC_RELEASE);
}

}  // namespace virt_power

#endif
