#pragma once
// Open Inference messages to the worker's own terms and back.

#include <list>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/grpc_service.pb.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/front/request_check.h"

namespace torchfleet::worker {

// A request's tensors laid out as on the wire. Views into the message, or into
// `converted` where the elements came typed.
struct DecodedRequest {
  std::vector<ClaimedInput> inputs;
  std::vector<std::string_view> requested_outputs;
  std::list<std::string> converted;
};

// Lays out the tensors of `request`, which outlives the result. INVALID_ARGUMENT
// when raw and typed contents are mixed, their counts do not fit, the elements
// stand in another datatype's field, or a value does not fit its datatype.
absl::StatusOr<DecodedRequest> DecodeRequest(const inference::ModelInferRequest& request);

// Moves the outputs that the request wants into the response.
void EncodeResponse(const ModelSpec& spec, const std::vector<size_t>& wanted,
                    std::vector<OutputTensor> outputs, inference::ModelInferResponse* response);

}  // namespace torchfleet::worker
