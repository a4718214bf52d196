// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace virt_power {
namespace {

/// A URI may be as long as a command line.
constexpr size_t longest_uri = 200;

void replace_all(std::string& text, const std::string& what, const std::string& by) {
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
}

bool are_same(const HostIdentity& a, const HostIdentity& b) {
    return a.uri == b.uri || (a.epoch && a.epoch == b.epoch && a.name == b.name);
}

}  // namespace

std::string shortened(std::string_view text, size_t most) {
    constexpr std::string_view gap = "...";
    if (text.size() <= most) return std::string(text);
    size_t kept = most - std::min(most, gap.size());
    std::string out(text.substr(0, kept - kept / 3));
    out += gap;
    out += text.substr(text.size() - kept / 3);
    return out;
}

HostNames::HostNames(const std::vector<std::string>& given) {
    for (const std::string& uri : given) hosts_.push_back({uri, {}, false, false});
}

void HostNames::learn(size_t host, const HostIdentity& identity) { hosts_[host].is = identity; }

std::optional<std::string> HostNames::show(size_t host) {
    Host& candidate = hosts_[host];
    if (std::exchange(candidate.is_shown, true) || candidate.is_twin) return std::nullopt;
    for (const Host& other : hosts_) {
        if (&other == &candidate || !other.is_shown || !are_same(other.is, candidate.is)) continue;
        candidate.is_shown = false;
        candidate.is_twin = true;
        std::string uri = shortened(candidate.is.uri, longest_uri);
        std::string known = shortened(other.is.uri, longest_uri);
        if (uri == known) return fmt::format("{} was given twice; it is shown once", uri);
        return fmt::format("{} is the same host as {}; it is shown once", uri, known);
    }
    return std::nullopt;
}

size_t HostNames::count() const {
    return static_cast<size_t>(
        std::count_if(hosts_.begin(), hosts_.end(), [](const Host& host) { return !host.is_twin; }));
}

std::string HostNames::distinct(size_t host) const {
    for (size_t other = 0; other < hosts_.size(); ++other)
        if (other != host && !hosts_[other].is_twin && is_known(other) &&
            hosts_[other].is.name == hosts_[host].is.name && !are_same(hosts_[other].is, hosts_[host].is))
            return hosts_[host].is.name + "#" + std::to_string(host + 1);
    return "";
}

std::string HostNames::label(size_t host) const {
    const Host& named = hosts_[host];
    if (!is_known(host)) return named.given.empty() ? "libvirt" : shortened(named.given, longest_uri);
    if (hosts_.size() == 1) return shortened(named.is.uri, longest_uri);
    std::string label = named.is_twin ? "" : distinct(host);
    return label.empty() ? named.is.name : label;
}

std::string HostNames::about(size_t host, std::string_view message) const {
    std::string text(message);
    const std::string& given = hosts_[host].given;
    if (given.size() > longest_uri) replace_all(text, given, shortened(given, longest_uri));
    std::string name = label(host);
    if (text.find(name) != std::string::npos) return text;
    return name + ": " + text;
}

std::string HostNames::lost(size_t host, std::string_view message) const {
    std::string text = about(host, message);
    if (!is_known(host)) return text;
    return (text.starts_with(label(host) + ": ") ? "lost " : "lost: ") + text;
}

}  // namespace virt_power
