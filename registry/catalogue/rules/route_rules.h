#pragma once
// What a route must be to be stored, as a whole. Pure.
//
// Whether what it names exists is another question: references.h.

#include "absl/status/status.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

inline constexpr int kMaxRules = 100;
inline constexpr int kMaxMatches = 16;
inline constexpr int kMaxTargets = 32;
inline constexpr uint32_t kMaxWeight = 1000000;
// Different models that one route may name: each is a condition of the
// transaction that stores it.
inline constexpr size_t kMaxModelsNamed = 64;

// INVALID_ARGUMENT naming the first field at fault, such as
// `route.rules[0].targets[1].weight`.
absl::Status CheckRoute(const v1::Route& route);

}  // namespace torchfleet::registry
