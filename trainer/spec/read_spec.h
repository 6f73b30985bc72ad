#pragma once
// Reads a spec file and refuses what contradicts itself.

#include <filesystem>

#include "absl/status/statusor.h"
#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

// Paths in the result start at the spec's folder. NOT_FOUND without the file,
// INVALID_ARGUMENT with file:line:column, or the file and the field.
absl::StatusOr<TrainSpec> ReadSpec(const std::filesystem::path& file);

}  // namespace torchfleet::trainer
