#pragma once
// A checked request on its way to an executor and back.
//
// Whoever takes it out of the queue answers it, exactly once: the executor
// that ran it, or whoever removed it. Nobody touches it after Answer but its
// owner.

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
};

// Where a request's time went.
struct RequestTimes {
  Instant queued, started, finished;
};

class Request {
 public:
  virtual ~Request() = default;

  virtual const CheckedRequest& checked() const = 0;
  // After this moment nobody waits for the answer.
  virtual Instant deadline() const = 0;
  // The model's outputs, as its spec lists them, or why there are none.
  virtual void Answer(absl::StatusOr<std::vector<OutputTensor>> outputs,
                      const RequestTimes& times) = 0;
};

}  // namespace torchfleet::worker
