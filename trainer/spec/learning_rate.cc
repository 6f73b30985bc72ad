#include <cmath>
#include <numbers>

#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

double LearningRate(const OptimizerSpec& optimizer, uint32_t epoch, uint32_t epochs) {
  const ScheduleSpec& schedule = optimizer.schedule;
  const double rate = optimizer.learning_rate;
  switch (schedule.kind) {
    case ScheduleSpec::Kind::kConstant:
      return rate;
    case ScheduleSpec::Kind::kStep:
      return rate * std::pow(schedule.factor, epoch / schedule.every_epochs);
    case ScheduleSpec::Kind::kExponential:
      return rate * std::pow(schedule.factor, epoch);
    case ScheduleSpec::Kind::kCosine: {
      if (epochs < 2) return rate;
      const double progress = static_cast<double>(epoch) / (epochs - 1);
      return schedule.final_rate +
             (rate - schedule.final_rate) * (1 + std::cos(std::numbers::pi * progress)) / 2;
    }
  }
  return rate;
}

}  // namespace torchfleet::trainer
