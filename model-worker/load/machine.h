#pragma once
// What compiled code must fit. A plain value.

#include <set>
#include <string>

namespace torchfleet::worker {

struct Machine {
  // As Python names it: "linux".
  std::string platform;
  // As uname: "x86_64".
  std::string architecture;
  // As /proc/cpuinfo names them: "avx2", "asimd".
  std::set<std::string> cpu_features;
};

Machine ThisMachine();

}  // namespace torchfleet::worker
