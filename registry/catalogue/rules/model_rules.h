#pragma once
// What a model must be to be stored, as a whole. Pure.

#include "absl/status/status.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

inline constexpr int kMaxVersions = 1000;
inline constexpr int kMaxFiles = 1000;
inline constexpr int kMaxAliases = 256;
inline constexpr uint32_t kMaxReplicas = 10000;

// INVALID_ARGUMENT naming the first field at fault, such as
// `model.versions[2].files[0].sha256`.
absl::Status CheckModel(const v1::Model& model);

}  // namespace torchfleet::registry
