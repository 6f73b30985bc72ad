#pragma once
// From a trained network to a version in a model repository.

#include <filesystem>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "repository/layout.h"
#include "trainer/data/dataset.h"
#include "trainer/spec/train_spec.h"
#include "trainer/train/training.h"

namespace torchfleet::trainer {

// What a run leaves behind beside the model.
struct TrainingRecord {
  const TrainSpec& spec;
  const std::vector<EpochResult>& epochs;
  const Dataset& train;
  const Dataset& test;
  int64_t outputs = 0;
};

// Publishes model.pt (written by `save`), config.pbtxt and training.json
// (loss and accuracy by epoch, spec, seed, digests of data and model) as a new
// version; all or nothing.
absl::StatusOr<repository::ModelVersion> PublishModel(
    const std::filesystem::path& repository, const TrainingRecord& record,
    const std::function<absl::Status(const std::filesystem::path& file)>& save);

}  // namespace torchfleet::trainer
