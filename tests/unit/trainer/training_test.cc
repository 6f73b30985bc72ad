#include "trainer/train/training.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/fakes/temporary_folder.h"
#include "tests/unit/trainer/small_data.h"
#include "repository/file_digest.h"
#include "trainer/train/progress_display.h"

namespace torchfleet::trainer {
namespace {

using Kind = LayerSpec::Kind;

const std::atomic<bool> kNever = false;

// Trains to the end.
std::vector<EpochResult> Trained(const TrainSpec& spec, const Dataset& train, const Dataset& test) {
  const TemporaryFolder folder;
  Training training(spec, train, test, folder.path() / "checkpoint.pt");
  const absl::Status status = training.Run({}, kNever);
  CAPTURE(status.message());
  REQUIRE(status.ok());
  REQUIRE(training.epochs().size() == spec.epochs);
  return training.epochs();
}

void CheckFalls(const std::vector<EpochResult>& epochs) {
  CAPTURE(epochs.front().train_loss, epochs.back().train_loss);
  CHECK(epochs.back().train_loss < 0.7 * epochs.front().train_loss);
  CHECK(epochs.back().test_loss < epochs.front().test_loss);
}

TEST_CASE("Training: every optimizer makes the loss fall", "[trainer][torch]") {
  using Algorithm = OptimizerSpec::Kind;
  struct Row {
    const char* name;
    OptimizerSpec optimizer;
  };
  const Row rows[] = {{"sgd", Optimizer(Algorithm::kSgd, 0.2)},
                      {"momentum", Optimizer(Algorithm::kSgd, 0.05, 0.9)},
                      {"decay", Optimizer(Algorithm::kSgd, 0.2, 0, 1e-3)},
                      {"adam", Optimizer(Algorithm::kAdam, 0.02)},
                      {"adamw", Optimizer(Algorithm::kAdamW, 0.02, 0, 1e-2)}};
  const Dataset train = ThreeClasses(96, 6), test = ThreeClasses(30, 6);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TrainSpec spec = SmallSpec();
    spec.optimizer = row.optimizer;
    spec.epochs = 8;
    CheckFalls(Trained(spec, train, test));
  }
}

TEST_CASE("Training: an optimizer does what its numbers say", "[trainer][torch]") {
  // One weight w, no data but x = 1, target 0: the gradient of (w x + b)² is
  // 2 (w + b) for w and for b, so plain descent shrinks w + b by 1 - 4 rate.
  TrainSpec spec = SmallSpec();
  spec.input_shape = {1};
  spec.layers = {Layer(Kind::kDense, 1)};
  spec.loss = LossKind::kMse;
  spec.optimizer = Optimizer(OptimizerSpec::Kind::kSgd, 0.05);
  spec.epochs = 4;
  Dataset one;
  one.records = one.input_size = one.target_size = 1;
  one.inputs = {1};
  one.targets = {0};
  auto epochs = Trained(spec, one, one);
  for (size_t i = 0; i < epochs.size(); ++i) {
    CHECK(epochs[i].test_loss == Catch::Approx(epochs[i].train_loss * 0.8 * 0.8).epsilon(1e-4));
  }
  spec.optimizer.schedule = {.kind = ScheduleSpec::Kind::kStep, .every_epochs = 2, .factor = 0.5};
  epochs = Trained(spec, one, one);
  const double rates[] = {0.05, 0.05, 0.025, 0.025};
  for (size_t i = 0; i < epochs.size(); ++i) {
    const double shrinks = 1 - 4 * rates[i];
    CHECK(epochs[i].learning_rate == rates[i]);
    CHECK(epochs[i].test_loss ==
          Catch::Approx(epochs[i].train_loss * shrinks * shrinks).epsilon(1e-4));
  }
}

TEST_CASE("Training: every layer has a part in what is learnt", "[trainer][torch]") {
  struct Row {
    const char* name;
    std::vector<int64_t> shape;
    std::vector<LayerSpec> layers;
  };
  const LayerSpec dense = Layer(Kind::kDense, 3), flatten = Layer(Kind::kFlatten);
  const LayerSpec conv = {.kind = Kind::kConv2d, .units = 4, .kernel = 3, .padding = 1};
  const Row rows[] = {
      {"dense", {36}, {dense}},
      {"relu", {36}, {Layer(Kind::kDense, 8), Layer(Kind::kRelu), dense}},
      {"softmax", {36}, {dense, Layer(Kind::kSoftmax)}},
      {"dropout", {36}, {{.kind = Kind::kDropout, .rate = 0.2}, dense}},
      {"batch_norm", {36}, {Layer(Kind::kBatchNorm), dense}},
      {"flatten", {1, 6, 6}, {flatten, dense}},
      {"conv2d", {1, 6, 6}, {conv, flatten, dense}},
      {"strided conv2d",
       {1, 6, 6},
       {{.kind = Kind::kConv2d, .units = 4, .kernel = 3, .stride = 3}, flatten, dense}},
      {"batch_norm of planes", {1, 6, 6}, {conv, Layer(Kind::kBatchNorm), flatten, dense}},
      {"max_pool2d",
       {1, 6, 6},
       {conv, {.kind = Kind::kMaxPool2d, .kernel = 2, .stride = 2}, flatten, dense}}};
  const Dataset train = ThreeClasses(96, 36), test = ThreeClasses(30, 36);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TrainSpec spec = SmallSpec();
    spec.input_shape = row.shape;
    spec.layers = row.layers;
    spec.epochs = 8;
    const auto epochs = Trained(spec, train, test);
    CheckFalls(epochs);
    CHECK(epochs.back().test_accuracy > 0.9);
  }
}

// The model's digest after a run that is interrupted after each of these steps,
// counted through the whole run, and resumed by a new Training.
std::string Digest(const TrainSpec& spec, const std::vector<int>& interrupted_after,
                   std::vector<EpochResult>* epochs = nullptr) {
  const TemporaryFolder folder;
  const auto checkpoint = folder.path() / "deeper" / "checkpoint.pt";
  const Dataset train = ThreeClasses(50, 6), test = ThreeClasses(30, 6);
  int steps = 0;
  for (size_t part = 0; part <= interrupted_after.size(); ++part) {
    Training training(spec, train, test, checkpoint);
    if (part > 0) REQUIRE(training.Resume().ok());
    std::atomic<bool> interrupted = false;
    const bool last = part == interrupted_after.size();
    const Progress progress = {[&](const EpochResult&, double) {
                                 interrupted = !last && ++steps == interrupted_after[part];
                               },
                               {}};
    const absl::Status status = training.Run(progress, interrupted);
    if (!last) {
      REQUIRE(absl::IsCancelled(status));
      REQUIRE(std::filesystem::exists(checkpoint));
      continue;
    }
    REQUIRE(status.ok());
    REQUIRE(training.Save(folder.path() / "model.pt").ok());
    if (epochs) *epochs = training.epochs();
  }
  return *repository::FileDigest(folder.path() / "model.pt");
}

// What has state of its own: running means, dropout's random numbers, moments.
TrainSpec StatefulSpec(OptimizerSpec::Kind optimizer) {
  TrainSpec spec = SmallSpec();
  spec.layers.insert(spec.layers.begin() + 1,
                     {Layer(Kind::kBatchNorm), {.kind = Kind::kDropout, .rate = 0.3}});
  spec.optimizer = Optimizer(optimizer, 0.02, 0.9, 0.01);
  spec.optimizer.schedule.kind = ScheduleSpec::Kind::kCosine;
  return spec;
}

TEST_CASE("Training: the same seed gives the same bytes, another seed others", "[trainer][torch]") {
  TrainSpec spec = StatefulSpec(OptimizerSpec::Kind::kAdam);
  const std::string digest = Digest(spec, {});
  CHECK(Digest(spec, {}) == digest);
  spec.seed = 4;
  CHECK(Digest(spec, {}) != digest);
  spec.seed = 3 + (uint64_t{1} << 40);
  CHECK(Digest(spec, {}) != digest);
}

TEST_CASE("Training: interrupted anywhere and resumed, it ends with the same bytes",
          "[trainer][torch]") {
  using Algorithm = OptimizerSpec::Kind;
  for (const Algorithm optimizer : {Algorithm::kSgd, Algorithm::kAdam, Algorithm::kAdamW}) {
    const TrainSpec spec = StatefulSpec(optimizer);
    std::vector<EpochResult> whole;
    const std::string digest = Digest(spec, {}, &whole);
    // 50 records, 16 a step: 4 steps an epoch, 16 in all.
    for (const std::vector<int>& steps :
         {std::vector<int>{1}, {3}, {4}, {5}, {8}, {15}, {16}, {1, 2, 4, 11}}) {
      CAPTURE(static_cast<int>(optimizer), steps);
      std::vector<EpochResult> parts;
      CHECK(Digest(spec, steps, &parts) == digest);
      REQUIRE(parts.size() == whole.size());
      for (size_t i = 0; i < whole.size(); ++i) {
        CHECK(parts[i].epoch == whole[i].epoch);
        CHECK(parts[i].train_loss == whole[i].train_loss);
        CHECK(parts[i].test_loss == whole[i].test_loss);
        CHECK(parts[i].train_accuracy == whole[i].train_accuracy);
      }
    }
  }
}

TEST_CASE("Training: resumes only what there is, whole and of this spec", "[trainer][torch]") {
  const TemporaryFolder folder;
  const auto checkpoint = folder.path() / "checkpoint.pt";
  const Dataset train = ThreeClasses(50, 6), test = ThreeClasses(30, 6);
  const TrainSpec spec = SmallSpec();
  CHECK(absl::IsNotFound(Training(spec, train, test, checkpoint).Resume()));
  REQUIRE(absl::IsCancelled(Training(spec, train, test, checkpoint).Run({}, true)));
  CHECK(Training(spec, train, test, checkpoint).Resume().ok());

  TrainSpec other = spec;
  other.text += " ";
  const absl::Status status = Training(other, train, test, checkpoint).Resume();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(std::string(status.message()).find("another spec") != std::string::npos);

  const auto size = std::filesystem::file_size(checkpoint);
  for (const uintmax_t left : {size - 1, size / 2, uintmax_t{100}, uintmax_t{0}}) {
    CAPTURE(left);
    std::filesystem::resize_file(checkpoint, left);
    const absl::Status damaged = Training(spec, train, test, checkpoint).Resume();
    CHECK(absl::IsFailedPrecondition(damaged));
    CHECK(std::string(damaged.message()).find("damaged") != std::string::npos);
  }
}

TEST_CASE("Training: a loss that is no number any more ends it", "[trainer][torch]") {
  const TemporaryFolder folder;
  const Dataset train = ThreeClasses(48, 6), test = ThreeClasses(30, 6);
  struct Row {
    uint32_t batch_size;
    const char* where;
  };
  // Noticed at the second step; or, with one step only, by what it made.
  for (const Row& row : {Row{16, "epoch 1, step 2"}, Row{48, "epoch 1"}}) {
    CAPTURE(row.batch_size);
    TrainSpec spec = SmallSpec();
    spec.optimizer = Optimizer(OptimizerSpec::Kind::kSgd, 1e38);
    spec.epochs = 1;
    spec.batch_size = row.batch_size;
    Training training(spec, train, test, folder.path() / "checkpoint.pt");
    const absl::Status status = training.Run({}, kNever);
    CHECK(absl::IsFailedPrecondition(status));
    const std::string message(status.message());
    CAPTURE(message);
    CHECK(message.find(row.where) != std::string::npos);
    CHECK(message.find("learning_rate") != std::string::npos);
    CHECK(training.epochs().empty());
  }
}

TEST_CASE("Training: a network beyond all memory is an error", "[trainer][torch]") {
  const TemporaryFolder folder;
  TrainSpec spec = SmallSpec();
  // More weights than 64 bits can count.
  spec.layers = {Layer(Kind::kDense, int64_t{1} << 40)};
  spec.input_shape = {int64_t{1} << 40};
  const Dataset train = ThreeClasses(48, 6);
  Training training(spec, train, train, folder.path() / "checkpoint.pt");
  CHECK_FALSE(training.Resume().ok());
  CHECK_FALSE(training.Run({}, kNever).ok());
}

TEST_CASE("EpochLine: accuracy only where there are classes", "[trainer]") {
  const EpochResult epoch{.epoch = 2,
                          .train_loss = 0.1375,
                          .test_loss = 0.25,
                          .train_accuracy = 0.9591,
                          .test_accuracy = 1,
                          .seconds = 1.25};
  CHECK(EpochLine(epoch, 5, true) ==
        "epoch 2/5  loss 0.1375  accuracy 95.91 %  test loss 0.2500  test accuracy 100.00 %  "
        "1.2 s");
  CHECK(EpochLine(epoch, 5, false) == "epoch 2/5  loss 0.1375  test loss 0.2500  1.2 s");
}

}  // namespace
}  // namespace torchfleet::trainer
