#pragma once
// The seam between serving and computing: one loaded model.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "model-worker/execute/batch_input.h"
#include "wire/datatype.h"

namespace torchfleet::worker {

// An output, or a request's part of one, as the wire wants it.
struct OutputTensor {
  wire::DataType type = wire::DataType::kFp32;
  std::vector<int64_t> shape = {};
  // Little-endian and row-major; whole as long as `owner` is.
  std::string_view bytes = {};
  std::shared_ptr<const void> owner = nullptr;

  static OutputTensor Own(wire::DataType type, std::vector<int64_t> shape, std::string bytes) {
    const auto kept = std::make_shared<const std::string>(std::move(bytes));
    return {type, std::move(shape), *kept, kept};
  }
};

// When a run went from one stage to the next.
class RunStages {
 public:
  explicit RunStages(const Clock& clock) : clock_(clock), began_(clock.Now()) {}

  // The inputs are the model's; then: it has computed. Once each, in this order,
  // or not at all.
  void Gathered() { gathered_ = clock_.Now(); }
  void Computed() { computed_ = clock_.Now(); }
  // The model has returned.
  void Over() {
    if (computed_ == Instant()) Computed();
  }

  Instant began() const { return began_; }
  Instant gathered() const { return gathered_ == Instant() ? began_ : gathered_; }
  // `end`: when the run was over.
  Instant computed(Instant end) const { return computed_ == Instant() ? end : computed_; }

 private:
  const Clock& clock_;
  const Instant began_;
  Instant gathered_;
  Instant computed_;
};

// Thread-safe: every executor runs the same one.
class Model {
 public:
  virtual ~Model() = default;

  // `inputs` as the spec lists them; the outputs as the spec lists them, of the
  // whole batch. INTERNAL when the model fails on this input, RESOURCE_EXHAUSTED
  // when memory does not suffice. Messages are fit for callers: what the model
  // itself said goes to the log.
  virtual absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                        RunStages& stages) = 0;
};

}  // namespace torchfleet::worker
