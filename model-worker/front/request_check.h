#pragma once
// Holds what a caller sent against what the model takes. Pure: no protobuf, no
// gRPC, so that every front uses the same rules and the same words.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/queue/request.h"

namespace torchfleet::worker {

// An input as it came, its elements laid out as on the wire.
struct ClaimedInput {
  std::string_view name;
  std::string_view datatype;
  std::vector<int64_t> shape;
  std::string_view bytes;
};

// INVALID_ARGUMENT when there are more inputs or requested outputs than the
// model has. Costs nothing: for a front to call before it looks at any.
absl::Status CheckCounts(const ModelSpec& spec, size_t inputs, size_t requested_outputs);

// The request as the model will get it. INVALID_ARGUMENT, with the field,
// that names the tensor, what came and what the model takes:
// names missing, twice or unknown; datatype; rank, fixed, negative and
// overflowing dimensions; bytes that do not fit shape × datatype; BYTES
// elements past the end; a batch that differs between inputs or is over the
// limit.
absl::StatusOr<CheckedRequest> CheckRequest(const ModelSpec& spec,
                                            const std::vector<ClaimedInput>& inputs,
                                            const std::vector<std::string_view>& requested_outputs);

}  // namespace torchfleet::worker
