#pragma once
// Open Inference messages to the worker's own terms and back. Pure.

#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/front/request_check.h"
#include "wire/infer_views.h"
#include "wire/infer_writer.h"

namespace torchfleet::worker {

// A request's tensors laid out as on the wire. Views into the message, or into
// `converted` where the elements came typed.
struct DecodedRequest {
  std::vector<ClaimedInput> inputs;
  std::vector<std::string_view> requested_outputs;
  std::list<std::string> converted;

  void Clear() {
    inputs.clear();
    requested_outputs.clear();
    converted.clear();
  }
};

// Lays out the tensors of `request`, whose message outlives `decoded`.
// INVALID_ARGUMENT when raw and typed contents are mixed, their counts do not
// fit, the elements stand in another datatype's field, or a value does not fit
// its datatype.
absl::Status DecodeRequest(const wire::InferRequestView& request, DecodedRequest& decoded);

// Whether the request asks that each answer tell if it is the last, by the
// parameter `triton_enable_empty_final_response`. INVALID_ARGUMENT when that is
// not true or false.
absl::StatusOr<bool> TellsFinal(const wire::InferRequestView& request);

// How the request waits, by the parameters `priority` and `timeout` (µs), which
// are whole numbers of any kind; the rest of the terms is as it was.
// INVALID_ARGUMENT when they are not.
absl::Status ReadTerms(const wire::InferRequestView& request, RequestTerms& terms);

// What an answer has of its request.
struct AnswerForm {
  std::string_view id;
  // Indices of the outputs that are wanted, in their order.
  const std::vector<size_t>& wanted;
  // The parameter `triton_final_response`. A request has one answer: it is true.
  bool tells_final = false;
};

// A ModelInferResponse as pieces that stand until the writer's next message;
// tensors are pieces of their own, by reference. RESOURCE_EXHAUSTED when it is
// too large for a message.
absl::StatusOr<std::span<const std::string_view>> WriteResponse(
    const ModelSpec& spec, const AnswerForm& form, const std::vector<OutputTensor>& outputs,
    wire::InferWriter& writer);

}  // namespace torchfleet::worker
