#pragma once
// Shows how training goes: a bar that is redrawn on a terminal, a line for each
// epoch elsewhere. Not thread-safe.

#include <chrono>
#include <cstdint>
#include <string>

#include "trainer/spec/train_spec.h"
#include "trainer/train/training.h"

namespace torchfleet::trainer {

// One epoch as a line: "epoch 2/5  loss 0.1375  accuracy 95.91 %  test loss …".
std::string EpochLine(const EpochResult& epoch, uint32_t epochs, bool accuracy);

class ProgressDisplay {
 public:
  ProgressDisplay(const TrainSpec& spec, bool terminal);

  void OnStep(const EpochResult& so_far, double fraction);
  void OnEpoch(const EpochResult& epoch);

 private:
  const uint32_t epochs_;
  const bool accuracy_;
  const bool terminal_;
  std::chrono::steady_clock::time_point begun_, drawn_;
  // Share of all epochs done when this run began.
  double done_before_ = -1;
};

}  // namespace torchfleet::trainer
