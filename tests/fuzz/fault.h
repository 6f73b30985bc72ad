#pragma once
// How a fuzz target says that something is not as it should be.

#include <cstdio>
#include <cstdlib>
#include <string>

namespace torchfleet {

// Ends the process where there is a fault, so that libFuzzer keeps the input.
inline void AbortOn(const std::string& fault) {
  if (fault.empty()) return;
  std::fwrite(fault.data(), 1, fault.size(), stderr);  // it may hold zeros
  std::fputc('\n', stderr);
  std::abort();
}

}  // namespace torchfleet
