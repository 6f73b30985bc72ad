#include "trainer/train/training.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#include "base/status.h"
#include "trainer/network/network.h"
#include "trainer/network/shapes.h"
#include "trainer/train/optimizer.h"

namespace torchfleet::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

at::Tensor Inputs(const Dataset& data, const std::vector<int64_t>& record_shape) {
  std::vector<int64_t> shape = {static_cast<int64_t>(data.records)};
  shape.insert(shape.end(), record_shape.begin(), record_shape.end());
  return torch::from_blob(const_cast<float*>(data.inputs.data()), shape, torch::kFloat32);
}

at::Tensor Targets(const Dataset& data, LossKind loss) {
  const auto records = static_cast<int64_t>(data.records);
  at::Tensor targets =
      torch::from_blob(const_cast<float*>(data.targets.data()),
                       {records, static_cast<int64_t>(data.target_size)}, torch::kFloat32);
  return loss == LossKind::kMse ? targets : targets.reshape({records}).to(torch::kInt64);
}

// Sums over the records seen.
struct Sums {
  double loss = 0, right = 0;
  int64_t records = 0;

  void Add(double batch_loss, double batch_right, int64_t batch) {
    loss += batch_loss * static_cast<double>(batch);
    right += batch_right;
    records += batch;
  }
  double MeanLoss() const { return records == 0 ? 0 : loss / static_cast<double>(records); }
  double Accuracy() const { return records == 0 ? 0 : right / static_cast<double>(records); }
};

// Runs what may throw.
template <typename Action>
absl::Status Guarded(const Action& action) {
  try {
    return action();
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace

// What a run is made of; also what a checkpoint holds.
class Training::Loop {
 public:
  Loop(const TrainSpec& spec, const Dataset& train, const Dataset& test,
       std::filesystem::path checkpoint)
      : spec_(spec), train_(train), test_(test), checkpoint_(std::move(checkpoint)) {}

  // Makes the network, once. Throws when memory does not suffice.
  void Prepare() {
    if (optimizer_) return;
    // One thread: sums depend on their number, batches of small models gain
    // nothing from more, and on a busy machine threads that wait for one
    // another cost ten times what they save.
    at::set_num_threads(1);
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
    torch::manual_seed(spec_.seed);
    network_ = MakeNetwork(spec_, InferShapes(spec_).value());
    train_inputs_ = Inputs(train_, spec_.input_shape);
    train_targets_ = Targets(train_, spec_.loss);
    test_inputs_ = Inputs(test_, spec_.input_shape);
    test_targets_ = Targets(test_, spec_.loss);
    optimizer_ = MakeOptimizer(spec_.optimizer, Parameters());
  }

  absl::Status Run(const Progress& progress, const std::atomic<bool>& interrupted) {
    for (; epoch_ < spec_.epochs; ++epoch_, step_ = 0, sums_ = {}, spent_ = 0) {
      const auto begin = Clock::now();
      RETURN_IF_ERROR(TrainEpoch(progress, interrupted, begin));
      EpochResult result = SoFar();
      const Sums tested = Evaluate();
      result.test_loss = tested.MeanLoss();
      // The last step's weights have met no loss but this.
      if (!std::isfinite(result.test_loss)) {
        return NoNumber("test loss", result.test_loss, fmt::format("epoch {}", epoch_ + 1));
      }
      result.test_accuracy = tested.Accuracy();
      result.seconds = spent_ + SecondsSince(begin);
      epochs_.push_back(result);
      if (progress.on_epoch) progress.on_epoch(result);
    }
    return absl::OkStatus();
  }

  absl::Status Save(const std::filesystem::path& file) {
    network_.eval();
    network_.save(file.string());
    return absl::OkStatus();
  }

  void SaveCheckpoint();
  absl::Status LoadCheckpoint();

  const std::vector<EpochResult>& epochs() const { return epochs_; }

 private:
  std::vector<at::Tensor> Parameters() const {
    std::vector<at::Tensor> parameters;
    for (const at::Tensor& parameter : network_.parameters()) parameters.push_back(parameter);
    return parameters;
  }

  absl::Status TrainEpoch(const Progress& progress, const std::atomic<bool>& interrupted,
                          Clock::time_point begin) {
    const std::vector<int64_t> order = Order();
    SetLearningRate(*optimizer_, LearningRate(spec_.optimizer, epoch_, spec_.epochs));
    network_.train();
    const auto size = static_cast<int64_t>(spec_.batch_size);
    const auto records = static_cast<int64_t>(order.size());
    while (step_ * size < records) {
      const int64_t first = step_ * size, count = std::min(size, records - first);
      RETURN_IF_ERROR(Step(torch::tensor(
          std::vector<int64_t>(order.begin() + first, order.begin() + first + count))));
      ++step_;
      if (progress.on_step) {
        progress.on_step(SoFar(),
                         static_cast<double>(first + count) / static_cast<double>(records));
      }
      if (interrupted) {
        spent_ += SecondsSince(begin);
        SaveCheckpoint();
        return absl::CancelledError(
            fmt::format("interrupted in epoch {} after step {}", epoch_ + 1, step_));
      }
    }
    return absl::OkStatus();
  }

  // The epoch's order of records: its own generator, so that a resumed run
  // needs no past.
  std::vector<int64_t> Order() const {
    std::vector<int64_t> order(static_cast<size_t>(train_inputs_.size(0)));
    std::iota(order.begin(), order.end(), 0);
    std::seed_seq seed{spec_.seed & 0xffffffff, spec_.seed >> 32, uint64_t{epoch_}};
    std::mt19937_64 random(seed);
    std::shuffle(order.begin(), order.end(), random);
    return order;
  }

  absl::Status Step(const at::Tensor& records) {
    const at::Tensor targets = train_targets_.index_select(0, records);
    optimizer_->zero_grad();
    const at::Tensor output = Logits(train_inputs_.index_select(0, records));
    const at::Tensor loss = Loss(output, targets);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      return NoNumber("loss", value, fmt::format("epoch {}, step {}", epoch_ + 1, step_ + 1));
    }
    loss.backward();
    optimizer_->step();
    sums_.Add(value, Right(output, targets), records.size(0));
    return absl::OkStatus();
  }

  absl::Status NoNumber(const char* what, double value, const std::string& where) const {
    return absl::FailedPreconditionError(
        fmt::format("the {} is {} in {}; a smaller learning_rate may help (it is {})", what, value,
                    where, spec_.optimizer.learning_rate));
  }

  at::Tensor Logits(const at::Tensor& inputs) {
    return network_.get_method("forward_logits")({inputs}).toTensor();
  }

  at::Tensor Loss(const at::Tensor& output, const at::Tensor& targets) const {
    return spec_.loss == LossKind::kMse ? at::mse_loss(output, targets)
                                        : at::cross_entropy_loss(output, targets);
  }

  double Right(const at::Tensor& output, const at::Tensor& targets) const {
    if (spec_.loss == LossKind::kMse) return 0;
    return output.argmax(1).eq(targets).sum().item<double>();
  }

  Sums Evaluate() {
    const torch::NoGradGuard no_gradients;
    network_.eval();
    Sums sums;
    const int64_t records = test_inputs_.size(0);
    for (int64_t first = 0; first < records; first += 1000) {
      const int64_t count = std::min<int64_t>(1000, records - first);
      const at::Tensor targets = test_targets_.narrow(0, first, count);
      const at::Tensor output = Logits(test_inputs_.narrow(0, first, count));
      sums.Add(Loss(output, targets).item<double>(), Right(output, targets), count);
    }
    return sums;
  }

  EpochResult SoFar() const {
    return {.epoch = epoch_ + 1,
            .learning_rate = LearningRate(spec_.optimizer, epoch_, spec_.epochs),
            .train_loss = sums_.MeanLoss(),
            .train_accuracy = sums_.Accuracy()};
  }

  const TrainSpec& spec_;
  const Dataset& train_;
  const Dataset& test_;
  const std::filesystem::path checkpoint_;
  // Set by Prepare.
  torch::jit::Module network_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  at::Tensor train_inputs_, train_targets_, test_inputs_, test_targets_;
  // Where the run is.
  uint32_t epoch_ = 0;
  int64_t step_ = 0;
  Sums sums_;
  double spent_ = 0;
  std::vector<EpochResult> epochs_;
};

void Training::Loop::SaveCheckpoint() {
  torch::serialize::OutputArchive archive, optimizer;
  int64_t i = 0;
  for (const at::Tensor& parameter : network_.parameters()) {
    archive.write(fmt::format("parameter{}", i++), parameter.detach());
  }
  i = 0;
  for (const at::Tensor& buffer : network_.buffers()) {
    archive.write(fmt::format("buffer{}", i++), buffer, /*is_buffer=*/true);
  }
  optimizer_->save(optimizer);
  archive.write("optimizer", optimizer);
  archive.write("random", at::detail::getDefaultCPUGenerator().get_state());
  archive.write("spec", c10::IValue(spec_.text));
  std::vector<double> numbers = {static_cast<double>(epoch_),
                                 static_cast<double>(step_),
                                 sums_.loss,
                                 sums_.right,
                                 static_cast<double>(sums_.records),
                                 spent_};
  for (const EpochResult& e : epochs_) {
    numbers.insert(numbers.end(), {e.learning_rate, e.train_loss, e.test_loss, e.train_accuracy,
                                   e.test_accuracy, e.seconds});
  }
  archive.write("numbers", torch::tensor(numbers, torch::kFloat64));
  std::filesystem::create_directories(checkpoint_.parent_path());
  const std::string temporary = checkpoint_.string() + ".new";
  archive.save_to(temporary);
  std::filesystem::rename(temporary, checkpoint_);
}

absl::Status Training::Loop::LoadCheckpoint() {
  if (!std::filesystem::exists(checkpoint_)) {
    return absl::NotFoundError(
        fmt::format("{} is not there; there is nothing to resume", checkpoint_.string()));
  }
  torch::serialize::InputArchive archive, optimizer;
  archive.load_from(checkpoint_.string());
  c10::IValue text;
  archive.read("spec", text);
  if (text.toStringRef() != spec_.text) {
    return absl::FailedPreconditionError(fmt::format(
        "{} is of another spec; resume with the spec it was made with, or train without --resume",
        checkpoint_.string()));
  }
  const torch::NoGradGuard no_gradients;
  const auto restore = [&](const std::string& key, at::Tensor into, bool is_buffer) {
    at::Tensor saved;
    archive.read(key, saved, is_buffer);
    into.copy_(saved);
  };
  int64_t i = 0;
  for (const at::Tensor& parameter : network_.parameters()) {
    restore(fmt::format("parameter{}", i++), parameter, false);
  }
  i = 0;
  for (const at::Tensor& buffer : network_.buffers()) {
    restore(fmt::format("buffer{}", i++), buffer, true);
  }
  archive.read("optimizer", optimizer);
  optimizer_->load(optimizer);
  at::Tensor random, saved;
  archive.read("random", random);
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  generator.set_state(random);
  archive.read("numbers", saved);
  const double* n = saved.const_data_ptr<double>();
  epoch_ = static_cast<uint32_t>(n[0]);
  step_ = static_cast<int64_t>(n[1]);
  sums_ = {n[2], n[3], static_cast<int64_t>(n[4])};
  spent_ = n[5];
  for (uint32_t e = 0; e < epoch_; ++e) {
    const double* f = n + 6 + 6 * e;
    epochs_.push_back({e + 1, f[0], f[1], f[2], f[3], f[4], f[5]});
  }
  return absl::OkStatus();
}

Training::Training(const TrainSpec& spec, const Dataset& train, const Dataset& test,
                   std::filesystem::path checkpoint)
    : loop_(std::make_unique<Loop>(spec, train, test, std::move(checkpoint))) {}

Training::~Training() = default;

absl::Status Training::Resume() {
  RETURN_IF_ERROR(Guarded([&] {
    loop_->Prepare();
    return absl::OkStatus();
  }));
  try {
    return loop_->LoadCheckpoint();
  } catch (const std::exception&) {
    return absl::FailedPreconditionError(
        "the checkpoint is damaged; train without --resume to begin anew");
  }
}

absl::Status Training::Run(const Progress& progress, const std::atomic<bool>& interrupted) {
  return Guarded([&] {
    loop_->Prepare();
    return loop_->Run(progress, interrupted);
  });
}

const std::vector<EpochResult>& Training::epochs() const { return loop_->epochs(); }

absl::Status Training::Save(const std::filesystem::path& file) {
  try {
    return loop_->Save(file);
  } catch (const std::exception& error) {
    return absl::InternalError(
        fmt::format("{} cannot be written: {}", file.string(), error.what()));
  }
}

std::string TorchVersion() { return TORCH_VERSION; }

}  // namespace torchfleet::trainer
