#include "model-worker/load/machine.h"

#include <sys/utsname.h>

#include <fstream>
#include <sstream>

namespace torchfleet::worker {

Machine ThisMachine() {
  Machine machine;
  machine.platform = "linux";
  utsname names = {};
  if (uname(&names) == 0) machine.architecture = names.machine;
  std::ifstream cpu("/proc/cpuinfo");
  for (std::string line; std::getline(cpu, line);) {
    // x86 has "flags", ARM "Features", once for each core.
    if (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    for (std::string word; words >> word;) machine.cpu_features.insert(word);
    break;
  }
  return machine;
}

}  // namespace torchfleet::worker
