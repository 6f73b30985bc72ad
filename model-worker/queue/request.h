#pragma once
// A checked request on its way to an executor and back.
//
// Whoever takes it out of the queue answers it, exactly once: the executor
// that ran it, or whoever removed it. Nobody touches it after Answer but its
// owner.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "model-worker/execute/model.h"

namespace torchfleet::worker {

// An input as a request has it: checked against the model's spec. The bytes
// belong to the request, little-endian and row-major as on the wire, at any
// alignment.
struct InputTensor {
  std::vector<int64_t> shape;
  std::string_view bytes;
  // An optional input that the request left out.
  bool absent = false;
};

// A request that holds nothing against its model's spec.
struct CheckedRequest {
  // As the spec lists them.
  std::vector<InputTensor> inputs;
  // Indices into the spec's outputs, in the order the caller wants them.
  std::vector<size_t> outputs;
  // Rows, where the model has a batch.
  std::optional<int64_t> batch;
  // Elements along the dimension in which requests of a batch may differ, where
  // the model has one.
  int64_t length = 0;

  int64_t rows() const { return batch.value_or(1); }
};

// How a request waits.
struct RequestTerms {
  // After this moment nobody waits for the answer.
  Instant deadline = Instant::Infinite();
  // Callers share what there is; whoever has the same number is one.
  uint64_t caller = 0;
  // 1 is the highest; 0: the model's default.
  uint64_t priority = 0;
  // How long it may wait in the queue, where it says so.
  std::optional<absl::Duration> timeout = std::nullopt;
};

// Where a request's time went, and who shared the run.
struct RequestTimes {
  Instant queued, started, gathered, computed, finished;
};

class Request {
 public:
  virtual ~Request() = default;

  virtual const CheckedRequest& checked() const = 0;
  virtual const RequestTerms& terms() const = 0;
  // The model's outputs for this request, as its spec lists them, or why there
  // are none.
  virtual void Answer(absl::StatusOr<std::vector<OutputTensor>> outputs,
                      const RequestTimes& times) = 0;

 private:
  friend class WaitingLine;
  // Where it waits. The line's alone.
  struct Place {
    Request* before = nullptr;
    Request* after = nullptr;
    // Of its own caller.
    Request* own_before = nullptr;
    Request* own_after = nullptr;
    size_t level = 0;
    // Its turn among callers; see WaitingLine.
    int64_t turn = 0;
    // Behind the others of its level, as it waited too long.
    bool late = false;
    bool waits = false;
    Instant queued;
    // When it leaves by itself, and when it falls behind.
    Instant expires = Instant::Infinite();
    Instant falls_behind = Instant::Infinite();
    // When it was thought to be done, when it came.
    Instant promised = Instant::Infinite();
  };
  Place place_;
};

}  // namespace torchfleet::worker
