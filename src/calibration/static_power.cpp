// SPDX-License-Identifier: LGPL-2.1-or-later
#include "static_power.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "calibration_file.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

constexpr uint64_t look_period_ns = 1'000'000'000;
constexpr size_t most_strays = 8;

}  // namespace

Belief of_machine(std::string machine_id) {
    return [mine = std::move(machine_id)](const Calibration& calibration) -> std::string {
        if (mine.empty())
            return "key 'machine_id': this machine has none in /etc/machine-id or /var/lib/dbus/machine-id";
        if (calibration.machine_id.empty()) return "key 'machine_id': it is missing";
        return calibration.machine_id == mine ? "" : "key 'machine_id': it is another machine's";
    };
}

Belief of_host(std::string host) {
    return [host = std::move(host)](const Calibration& calibration) -> std::string {
        return calibration.host == host ? "" : "key 'host': it is another host's";
    };
}

StaticPower::StaticPower(std::filesystem::path file, Belief belief, std::function<uint64_t()> now_ns)
    : file_(std::move(file)), belief_(std::move(belief)), now_ns_(std::move(now_ns)) {}

/// The change time too: a file that was edited in place, or may be read by now, is another one.
std::optional<StaticPower::Identity> StaticPower::identify() const {
    struct stat status {};
    if (::stat(file_.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        Identity unreadable;
        unreadable.error = errno;
        return unreadable;
    }
    return Identity{
        0, status.st_dev, status.st_ino, status.st_size, status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

void StaticPower::load(const std::optional<Identity>& identity) {
    Warn warn = [this](std::string_view warning) { untold_.emplace_back(warning); };
    Result<std::string> text = read_small_file(file_, max_calibration_size);
    if (!text && text.error().kind == ErrorKind::Transient) {  // it is tried again
        if (std::exchange(unread_, identity) != identity)
            warn(fmt::format("{}; what is known of it stays until it can be read", text.error().message));
        return;
    }
    unread_.reset();
    identity_ = identity;
    zones_.clear();
    weighing_.reset();
    told_.clear();
    if (!text) {
        if (text.error().kind != ErrorKind::Gone)
            warn(fmt::format("{}; the file is ignored", text.error().message));
        return;
    }
    const std::string name = file_.string();
    std::optional<Calibration> calibration = parse_calibration(*text, name, warn);
    if (!calibration) return;
    if (std::string doubt = belief_(*calibration); !doubt.empty()) {
        warn(fmt::format("{}: group [calibration], {}; the file is ignored", name, doubt));
        return;
    }
    for (ZoneStatic& zone : calibration->zones) zones_[zone.name] = std::move(zone);
    if (const std::optional<Weights>& weights = calibration->weights)
        weighing_ =
            Weighing{weights->shared_permille, weights->cycle_permille, weights->square_permille, true};
}

/// Only once energy is counted: before that, other zones may be yet to come.
void StaticPower::tell_strays(const std::vector<ZoneReading>& zones, const Warn& warn) {
    if (std::none_of(zones.begin(), zones.end(), [](const ZoneReading& zone) { return zone.counted; }))
        return;
    for (const auto& [name, known] : zones_) {
        auto found = std::find_if(zones.begin(), zones.end(),
                                  [&name = name](const ZoneReading& zone) { return zone.name == name; });
        if (found != zones.end() && found->source == known.source) continue;
        if (told_.size() > most_strays || !told_.insert(name).second) continue;
        if (told_.size() > most_strays) {
            warn(fmt::format("{}: there are more groups that are ignored", file_.string()));
            continue;
        }
        warn(found == zones.end()
                 ? fmt::format("{}: group [zone {}]: this host has no such zone; it is ignored",
                               file_.string(), name)
                 : fmt::format(
                       "{}: group [zone {}], key 'source': energy is counted by {} now, not by {}; the "
                       "group is ignored",
                       file_.string(), name, found->source, known.source));
    }
}

void StaticPower::look() {
    uint64_t now_ns = now_ns_();
    if (looked_ns_ && now_ns - *looked_ns_ < look_period_ns) return;
    looked_ns_ = now_ns;
    std::optional<Identity> identity = identify();
    if (identity == identity_) return;
    load(identity);
}

std::optional<Weighing> StaticPower::weighing() {
    std::lock_guard lock(mutex_);
    look();
    return weighing_;
}

void StaticPower::add(std::vector<ZoneReading>& zones, const Warn& warn) {
    std::lock_guard lock(mutex_);
    look();
    for (const std::string& fault : std::exchange(untold_, {})) warn(fault);
    if (zones_.empty()) return;
    for (ZoneReading& zone : zones) {
        auto known = zones_.find(zone.name);
        if (known != zones_.end() && known->second.source == zone.source)
            zone.static_uw = known->second.static_uw;
    }
    tell_strays(zones, warn);
}

}  // namespace virt_power
