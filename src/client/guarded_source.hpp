// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A Source whose calls come back in time, whatever the daemon does.
#ifndef VIRT_POWER_CLIENT_GUARDED_SOURCE_HPP
#define VIRT_POWER_CLIENT_GUARDED_SOURCE_HPP

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "virt-power/pipeline.hpp"

namespace virt_power {

/// What a worker thread calls for a sample; may block for ever.
using Sampler = std::function<Result<Sample>()>;

/// Makes a sampler with a connection of its own, for a new worker.
using SamplerFactory = std::function<Sampler()>;

/// libvirt's calls know no timeout. So each sampler lives in a thread of its
/// own; one that does not answer is left alone, with all it owns, and another
/// takes its place. Where several hang, new tries become rare.
class GuardedSource : public Source {
public:
    GuardedSource(SamplerFactory factory, std::chrono::milliseconds timeout, std::string what);
    GuardedSource(const GuardedSource&) = delete;
    GuardedSource& operator=(const GuardedSource&) = delete;
    ~GuardedSource() override;

    Result<Sample> sample() override;

    /// With so many hanging, another is started only after `rest`.
    static constexpr size_t most_hanging = 3;
    static constexpr std::chrono::minutes rest{5};

private:
    struct Worker;

    static void part_from(Worker& worker, std::chrono::milliseconds patience);
    [[nodiscard]] std::shared_ptr<Worker> start() const;
    [[nodiscard]] Error timed_out() const;
    size_t hanging();

    SamplerFactory factory_;
    std::chrono::milliseconds timeout_;
    std::string what_;
    std::shared_ptr<Worker> worker_;
    std::vector<std::shared_ptr<Worker>> abandoned_;
    std::chrono::steady_clock::time_point abandoned_at_;
};

}  // namespace virt_power

#endif
