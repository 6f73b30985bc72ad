#pragma once
// Chance for the choices that a call makes.

#include <cstdint>
#include <random>

namespace torchfleet::gateway {

// Another number each time, of this thread's own.
inline uint64_t Random() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return engine();
}

}  // namespace torchfleet::gateway
