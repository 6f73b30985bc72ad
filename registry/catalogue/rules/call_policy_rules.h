#pragma once
// What a route may say of how its calls are sent. Pure.

#include <cstdint>

#include "absl/status/status.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

inline constexpr uint32_t kMaxInFlight = 1'000'000;
inline constexpr uint32_t kMaxWaiting = 65'536;
inline constexpr uint32_t kMaxWaitMs = 60'000;

// INVALID_ARGUMENT naming the first field at fault, such as
// `route.calls.consistent_hash.header`.
absl::Status CheckCallPolicy(const v1::CallPolicy& calls);

}  // namespace torchfleet::registry
