// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A map in one piece of memory: for what is read as a whole, again and again.
#ifndef VIRT_POWER_UTIL_FLAT_MAP_HPP
#define VIRT_POWER_UTIL_FLAT_MAP_HPP

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

namespace virt_power {

/// In the order of its keys. Adding at the end is cheap; elsewhere it moves what comes after.
template <typename Key, typename T>
class FlatMap {
public:
    using Entry = std::pair<Key, T>;

    [[nodiscard]] auto begin() { return entries_.begin(); }
    [[nodiscard]] auto end() { return entries_.end(); }
    [[nodiscard]] auto begin() const { return entries_.begin(); }
    [[nodiscard]] auto end() const { return entries_.end(); }
    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    void reserve(size_t size) { entries_.reserve(size); }

    /// Null without such a key.
    [[nodiscard]] T* find(const Key& key) {
        auto place = lower_bound(entries_, key);
        return place == entries_.end() || place->first != key ? nullptr : &place->second;
    }
    [[nodiscard]] const T* find(const Key& key) const {
        auto place = lower_bound(entries_, key);
        return place == entries_.end() || place->first != key ? nullptr : &place->second;
    }
    [[nodiscard]] const T& at(const Key& key) const {
        if (const T* found = find(key)) return *found;
        throw std::out_of_range("no such key");
    }
    T& operator[](const Key& key) {
        if (entries_.empty() || entries_.back().first < key) return entries_.emplace_back(key, T{}).second;
        auto place = lower_bound(entries_, key);
        if (place == entries_.end() || place->first != key) place = entries_.emplace(place, key, T{});
        return place->second;
    }
    void erase(const Key& key) {
        auto place = lower_bound(entries_, key);
        if (place != entries_.end() && place->first == key) entries_.erase(place);
    }
    /// The entry after this key, the first one after the last; end() if there is none.
    [[nodiscard]] auto next_in_turn(const Key& key) {
        auto place =
            std::upper_bound(entries_.begin(), entries_.end(), key,
                             [](const Key& wanted, const Entry& entry) { return wanted < entry.first; });
        return place == entries_.end() ? entries_.begin() : place;
    }

private:
    template <typename Entries>
    static auto lower_bound(Entries& entries, const Key& key) {
        return std::lower_bound(entries.begin(), entries.end(), key,
                                [](const Entry& entry, const Key& wanted) { return entry.first < wanted; });
    }

    std::vector<Entry> entries_;
};

}  // namespace virt_power

#endif
