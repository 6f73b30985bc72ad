#include "model-worker/execute/cpu_pinning.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/status.h"

namespace torchfleet::worker {
namespace {

bool ParseCpu(std::string_view text, int& cpu) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
  return error == std::errc() && end == text.data() + text.size() && cpu >= 0 && cpu < CPU_SETSIZE;
}

// "max 100000", or microseconds of CPU in each period. Where the process is in a
// control group of its own namespace, as in a container, this is its own.
int QuotaCpus() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return CPU_SETSIZE;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

}  // namespace

absl::StatusOr<std::vector<int>> ParseCpus(const std::string& text) {
  std::vector<int> cpus;
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    const std::vector<std::string> ends = absl::StrSplit(part, '-');
    int first = 0, last = 0;
    if (ends.size() > 2 || !ParseCpu(ends.front(), first) || !ParseCpu(ends.back(), last) ||
        last < first) {
      return absl::InvalidArgumentError(
          fmt::format("'{}' is no list of CPUs; expected one such as 0-3,8", Clip(text)));
    }
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

void PinToCpus(const std::vector<int>& cpus, int instance, int instances) {
  if (cpus.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  const auto count = static_cast<int>(cpus.size());
  if (count < instances) {
    CPU_SET(cpus[static_cast<size_t>(instance % count)], &set);
  } else {
    for (int i = instance * count / instances; i < (instance + 1) * count / instances; ++i) {
      CPU_SET(cpus[static_cast<size_t>(i)], &set);
    }
  }
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    LogWarning("an executor could not be bound to its CPUs", {{"instance", instance}});
  }
}

int UsableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int bound = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, std::min(bound, QuotaCpus()));
}

}  // namespace torchfleet::worker
