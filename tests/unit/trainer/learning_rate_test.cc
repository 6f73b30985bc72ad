#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {
namespace {

using Kind = ScheduleSpec::Kind;

TEST_CASE("LearningRate: follows its schedule by epoch", "[trainer][spec]") {
  struct Row {
    ScheduleSpec schedule;
    uint32_t epoch, epochs;
    double expected;
  };
  const Row rows[] = {
      {{}, 0, 5, 0.1},
      {{}, 4, 5, 0.1},
      {{.kind = Kind::kStep, .every_epochs = 2, .factor = 0.5}, 0, 5, 0.1},
      {{.kind = Kind::kStep, .every_epochs = 2, .factor = 0.5}, 1, 5, 0.1},
      {{.kind = Kind::kStep, .every_epochs = 2, .factor = 0.5}, 2, 5, 0.05},
      {{.kind = Kind::kStep, .every_epochs = 2, .factor = 0.5}, 4, 5, 0.025},
      {{.kind = Kind::kExponential, .factor = 0.1}, 0, 5, 0.1},
      {{.kind = Kind::kExponential, .factor = 0.1}, 3, 5, 0.0001},
      {{.kind = Kind::kCosine, .final_rate = 0.02}, 0, 5, 0.1},
      {{.kind = Kind::kCosine, .final_rate = 0.02}, 2, 5, 0.06},
      {{.kind = Kind::kCosine, .final_rate = 0.02}, 4, 5, 0.02},
      {{.kind = Kind::kCosine, .final_rate = 0.02}, 0, 1, 0.1},
  };
  for (const Row& row : rows) {
    CAPTURE(static_cast<int>(row.schedule.kind), row.epoch);
    OptimizerSpec optimizer;
    optimizer.learning_rate = 0.1;
    optimizer.schedule = row.schedule;
    CHECK(LearningRate(optimizer, row.epoch, row.epochs) == Catch::Approx(row.expected));
  }
}

}  // namespace
}  // namespace torchfleet::trainer
