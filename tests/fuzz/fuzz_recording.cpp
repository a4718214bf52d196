// SPDX-License-Identifier: LGPL-2.1-or-later
// RecordingReader: a file that anybody may have written. A sample that is taken must be the
// same once it was recorded again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "encoder.hpp"
#include "host_memory.hpp"
#include "virt-power/recording.hpp"

using namespace virt_power;

extern const char* const fuzz_seeds;
const char* const fuzz_seeds =
    R"({"format":"virt-power-recording","version":1,"program":"x","delay_ms":3000,"hosts":["qemu:///system",{"hex":"ff"}]}
{"host":0,"time":[1,-2],"about":{"host":"h","uri":"u","cpus":1,"status":"ok","reason":""},"zones":[["package-0","package",0,"powercap",true,5]],"packages":[0,7],"domains":[[0,"a","u\ud83d\ude00",1,null],[1,"b","v",2,"proc"]],"running":[0],"departed":[1],"reading":[1,2,"bpf",0,null,3],"package_use":[[1,2,3,null],[1,2,3,4]],"zone_energy":[[18446744073709551615,0]],"zone_limit":[65000000],"package_frequency":[null,800000],"departed_total":[1,2,3,4],"use":[[5,6,7,null]],"departed_use":[[1,1]],"notices":["n"]}
{"mark":"started"}
{"host":1,"error":"gone","errno":5,"message":"m"}
{"host":0,"time":[3,4],"domains":[[1,"c","w",3,"bpf"]],"running":[1,0],"use":[[],[1,null]],"cpu_time":[null,7]}
{"mark":"tick","number":1}
{"mark":"end","number":1}
)"
    "\f"
    R"({"format":"virt-power-recording","version":1,"hosts":[""]}
{"host":0,"time":[1,2],"about":{"host":"h","uri":"u","cpus":1,"status":"ok","reason":""},"packages":[0],"domains":[[0,"a","u",1,null],[1,"b","v",2,null]],"running":[0],"departed":[1],"reading":[1,2,"bpf",0,null,3],"weighing":[600,1000,50,true],"package_use":[[1,2,3,4]],"package_weight":[[5,null]],"package_shared":[6],"package_squared":[7],"departed_total":[1,2],"departed_total_weight":[3],"use":[[5,6]],"use_weight":[[7]],"use_helper":[[1,null,2,3]],"departed_use":[[1,1]],"departed_weight":[[null]],"departed_helper":[[1,2]],"vcpus":[2],"memory":[null]}
{"host":0,"time":[3,4],"running":[1,0],"use":[[],[1,null]],"vcpus":[],"memory":[1048576,2],"weighing":null}
)"
    "\f"
    R"({"format":"virt-power-recording","version":1,"hosts":[""]}
{"host":0,"time":[1,2],"later":{"x":[1.5e3,true,null]},"about":{"host":"h","uri":"u","cpus":0,"status":"no-group","reason":"r"}}
)";

namespace {

/// The sample through one more line and memory of the same host.
void check_round_trip(HostEncoder& encoder, HostMemory& memory, const Sample& sample) {
    std::string text;
    encoder.append(text, 0, sample);
    Line line;
    text.pop_back();
    try {
        LineParser().parse(text, line);
        memory.take(line);
    } catch (const BadLine&) {
        std::abort();
    }
    if (memory.sample() != sample) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    int fd = memfd_create("recording", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
    Result<std::unique_ptr<RecordingReader>> reader =
        RecordingReader::open("/proc/self/fd/" + std::to_string(fd));
    close(fd);
    if (!reader) return 0;
    std::map<size_t, std::pair<HostEncoder, HostMemory>> hosts;
    while (true) {
        Result<RecordedStep> step = (*reader)->next();
        if (!step || *step == RecordedStep::End) return 0;
        if (*step != RecordedStep::Sample) continue;
        auto& [encoder, memory] = hosts[(*reader)->host()];
        check_round_trip(encoder, memory, (*reader)->sample());
    }
}
