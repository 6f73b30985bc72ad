#pragma once
// The requests of a load: from data that is given, or made from the model's
// metadata. Pure, but for the files that are named.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/infer/tensor_text.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::cli {

struct RequestOptions {
  std::string model;
  std::string version;
  // As for `torchfleet infer`. An input may be given more than once: its values
  // take turns.
  std::vector<std::string> inputs;
  // A file with a request a line, each a JSON object of all inputs by name; then
  // neither inputs nor a batch.
  std::string file = {};
  // Rows of a request, where the model's first dimension varies: data that is
  // given is cut into so many, and takes turns; data that is made has so many.
  // 0: data as it is, or one row.
  int64_t batch = 0;
  uint64_t seed = 1;
};

// At least one. Made data are fractions from 0 to 1, zeros for integers (as
// indices they are in range for any model), false, and empty strings.
// INVALID_ARGUMENT says what does not fit.
absl::StatusOr<std::vector<inference::ModelInferRequest>> MakeRequests(
    const std::vector<InputSpec>& specs, const RequestOptions& options);

// The JSON document of /v2/models/…/infer that asks the same, without an id.
absl::StatusOr<std::string> RequestAsJson(const inference::ModelInferRequest& request);

}  // namespace torchfleet::cli
