#pragma once
// Records in memory, whatever file they came from.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

struct Dataset {
  size_t records = 0;
  // Values a record.
  size_t input_size = 0;
  size_t target_size = 0;
  // records × input_size, after the scale; records × target_size.
  std::vector<float> inputs;
  std::vector<float> targets;
  // Where it came from.
  std::vector<std::filesystem::path> files;
};

// NOT_FOUND for a file that is not there, INVALID_ARGUMENT (file, and line or
// record) for one that is cut short, has other sizes than it says, holds no
// record, or values that are no finite numbers.
absl::StatusOr<Dataset> LoadDataset(const DataSpec& spec);

// Holds a dataset against the network. `classes`: outputs of a network trained
// with cross-entropy, whose targets must be whole numbers under it; 0 for
// others, whose targets must be `output_size` values.
absl::Status CheckDataset(const Dataset& data, size_t input_size, size_t output_size,
                          size_t classes);

}  // namespace torchfleet::trainer
