#pragma once
// A request's inputs, from the command line and files.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/infer/tensor_text.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::cli {

// INTERNAL for a datatype that is not known here.
absl::StatusOr<std::vector<InputSpec>> InputSpecs(const inference::ModelMetadataResponse& metadata);

struct NamedTensor {
  const InputSpec* spec;
  Tensor tensor;
};

// NAME=VALUE, or the value alone for a model with one input; a value is JSON,
// @FILE.npy or @FILE.json. INVALID_ARGUMENT says what cannot be read, or names
// the inputs that there are.
absl::StatusOr<NamedTensor> ReadInput(const std::string& argument,
                                      const std::vector<InputSpec>& specs);

// Puts the tensor behind the request's others, as raw contents.
absl::Status AddInput(const InputSpec& spec, Tensor tensor, inference::ModelInferRequest* request);

}  // namespace torchfleet::cli
