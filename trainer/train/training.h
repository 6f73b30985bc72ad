#pragma once
// Gradient descent on a spec's network. Names no torch type.
//
// Deterministic: the same spec, data and machine give the same weights, also
// when the run was interrupted and resumed.

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "trainer/data/dataset.h"
#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

struct EpochResult {
  uint32_t epoch = 0;  // from 1
  double learning_rate = 0;
  double train_loss = 0, test_loss = 0;
  // Share of records whose class was right; cross-entropy only.
  double train_accuracy = 0, test_accuracy = 0;
  double seconds = 0;
};

// Told while training runs.
struct Progress {
  // After a step: how far this epoch is, 0 to 1, and its figures so far.
  std::function<void(const EpochResult& so_far, double fraction)> on_step;
  std::function<void(const EpochResult& epoch)> on_epoch;
};

class Training {
 public:
  // Borrows spec and data. `checkpoint` is written when the run is
  // interrupted, and read by Resume. The data has been checked.
  Training(const TrainSpec& spec, const Dataset& train, const Dataset& test,
           std::filesystem::path checkpoint);
  ~Training();

  // Goes on from the checkpoint. NOT_FOUND without one, FAILED_PRECONDITION
  // when it is of another spec or damaged, INTERNAL as Run.
  absl::Status Resume();

  // Until the last epoch, or until `interrupted`: then it leaves a checkpoint
  // and returns CANCELLED. FAILED_PRECONDITION when the loss, or the test loss
  // of an epoch, is no finite number any more; INTERNAL when LibTorch fails,
  // for want of memory say.
  absl::Status Run(const Progress& progress, const std::atomic<bool>& interrupted);

  const std::vector<EpochResult>& epochs() const;
  // Writes the trained network as TorchScript.
  absl::Status Save(const std::filesystem::path& file);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

// Of the LibTorch that trains, such as "2.13.0".
std::string TorchVersion();

}  // namespace torchfleet::trainer
