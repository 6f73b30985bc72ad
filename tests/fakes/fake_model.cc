#include "tests/fakes/fake_model.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <new>
#include <stdexcept>
#include <thread>

namespace torchfleet::worker {
namespace {

void ThrowOnPoison(const std::vector<std::string>& inputs) {
  for (const std::string& bytes : inputs) {
    if (bytes.find("poison") != std::string::npos) throw std::runtime_error("secret: poisoned");
    if (bytes.find("hunger") != std::string::npos) throw std::bad_alloc();
  }
}

// How long a batch takes.
struct Delay {
  std::chrono::milliseconds usual{0};
  // 0: none is slow.
  int slow_every = 0;
  int slow_factor = 1;

  std::chrono::milliseconds Of(int run) const {
    return slow_every > 0 && run % slow_every == 0 ? usual * slow_factor : usual;
  }
};

class FakeModel : public Model {
 public:
  FakeModel(const ModelSpec& spec, std::string behaviour, Delay delay)
      : spec_(spec), behaviour_(std::move(behaviour)), delay_(delay) {}

  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages& stages) override {
    if (behaviour_ == "throw") throw std::runtime_error("secret stack of the fake model");
    if (behaviour_ == "bad_alloc") throw std::bad_alloc();
    std::vector<std::string> gathered;
    for (const BatchInput& input : inputs) {
      input.CopyTo(gathered.emplace_back(input.size(), '\0').data());
    }
    stages.Gathered();
    if (behaviour_ == "poison") ThrowOnPoison(gathered);
    if (behaviour_ == "crash" && gathered[0].find("crash") != std::string::npos) abort();
    const int run = ++runs_;
    // The time that a model takes.
    if (delay_.usual.count() > 0) std::this_thread::sleep_for(delay_.Of(run));
    const bool wrong = behaviour_ == "wrong" && run % 3 == 0;
    std::vector<OutputTensor> outputs;
    for (size_t i = 0; i < spec_.outputs.size(); ++i) {
      const size_t from = std::min(i, inputs.size() - 1);
      std::string bytes = gathered[from];
      if (wrong) std::fill(bytes.begin(), bytes.end(), 'w');
      outputs.push_back(
          OutputTensor::Own(spec_.inputs[from].type, inputs[from].shape, std::move(bytes)));
      if (behaviour_ == "wrong_shape") outputs.back().shape.push_back(1);
    }
    return outputs;
  }

 private:
  const ModelSpec spec_;
  const std::string behaviour_;
  const Delay delay_;
  // Several may run at once.
  std::atomic<int> runs_ = 0;
};

std::string Parameter(const ModelSpec& spec, const std::string& name,
                      const std::string& otherwise) {
  const auto found = spec.parameters.find(name);
  return found == spec.parameters.end() ? otherwise : found->second;
}

int Number(const ModelSpec& spec, const std::string& name, const char* otherwise) {
  return std::atoi(Parameter(spec, name, otherwise).c_str());
}

Delay DelayOf(const ModelSpec& spec) {
  return {.usual = std::chrono::milliseconds(Number(spec, "delay_ms", "100")),
          .slow_every = Number(spec, "slow_every", "0"),
          .slow_factor = Number(spec, "slow_factor", "20")};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadFakeModel(const ModelFile& file, const ModelSpec& spec) {
  std::ifstream stream(file.OpenedPath());
  std::string content;
  stream >> content;
  if (content == "corrupt") {
    return absl::FailedPreconditionError(file.path().string() + " is corrupt");
  }
  ModelSpec version = spec;
  version.parameters["fake"] = content;
  auto own = MakeFakeModel(version);
  return own.ok() ? std::move(own) : MakeFakeModel(spec);
}

absl::StatusOr<std::unique_ptr<Model>> MakeFakeModel(const ModelSpec& spec) {
  const std::string behaviour = Parameter(spec, "fake", "echo");
  for (const char* known :
       {"echo", "delay", "throw", "bad_alloc", "poison", "wrong_shape", "wrong", "crash"}) {
    if (behaviour != known) continue;
    return std::make_unique<FakeModel>(spec, behaviour,
                                       behaviour == "delay" ? DelayOf(spec) : Delay());
  }
  return absl::FailedPreconditionError("no fake model behaves like '" + behaviour + "'");
}

}  // namespace torchfleet::worker
