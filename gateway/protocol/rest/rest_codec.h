#pragma once
// Turns REST calls into ModelInferRequest and ModelInferResponse into REST
// answers.
//
//   body ── ReadInfer / ReadV1Predict / ReadGenerate / … ──► request's pieces
//                                                            and an AnswerForm
//   ModelInferResponse + AnswerForm ──── WriteAnswer ──────► answer's pieces
//
// A body is read once, from front to back, its numbers straight into raw
// contents; binary tensors stay where they are. Errors are INVALID_ARGUMENT,
// naming what came, what was expected and where; or TooLargeError.
//
// Lifecycle: one per thread, for any number of calls; requests and answers may
//   alternate. The pieces of a request stand until the next Read…(), those of
//   an answer until the next WriteAnswer(). Buffers are kept up to a limit, so
//   that calls of usual size allocate next to nothing.
// Pieces borrow the body and the response's bytes.
// Not thread-safe.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/protocol/rest/answer_form.h"
#include "gateway/protocol/rest/model_spec.h"

namespace torchfleet::gateway::rest {

struct RestLimits {
  // Of the request that is written; a JSON body may grow fourfold.
  size_t message_bytes = size_t{64} << 20;
};

// A call with a body. Borrows everything.
struct RestCall {
  // As the route names them; no version for the highest that is ready.
  std::string_view model;
  std::string_view version;
  // Value of the header Inference-Header-Content-Length, if it came.
  std::optional<std::string_view> inference_header_length;
  std::string_view body;
};

struct RestRequest {
  // The ModelInferRequest, in order.
  std::span<const std::string_view> pieces;
  size_t size = 0;
  // What WriteAnswer() needs; the caller keeps it with the call.
  AnswerForm form;
};

struct RestAnswer {
  // The body, in order.
  std::span<const std::string_view> pieces;
  size_t size = 0;
  std::string_view content_type;
  // Value of the header Inference-Header-Content-Length: set when outputs follow
  // the JSON as binary data.
  std::optional<size_t> inference_header_length;
};

class RequestReader;
class AnswerWriter;

class RestCodec {
 public:
  explicit RestCodec(const RestLimits& limits = {});
  ~RestCodec();

  // Whether the call is one tensor's bytes and nothing else, which needs the
  // model's metadata.
  static bool IsRaw(const RestCall& call);

  // POST /v2/models/{m}/infer. `spec` may be null unless IsRaw().
  absl::StatusOr<RestRequest> ReadInfer(const RestCall& call, const ModelSpec* spec);
  // POST /v1/models/{m}:predict.
  absl::StatusOr<RestRequest> ReadV1Predict(const RestCall& call, const ModelSpec& spec);
  // POST /predict and /models/{m}/predict.
  absl::StatusOr<RestRequest> ReadPlainPredict(const RestCall& call, const ModelSpec& spec);
  // POST /v2/models/{m}/generate, and …/generate_stream, whose answers are each an
  // event. INVALID_ARGUMENT for a model that takes or gives no text.
  absl::StatusOr<RestRequest> ReadGenerate(const RestCall& call, const ModelSpec& spec);
  absl::StatusOr<RestRequest> ReadGenerateStream(const RestCall& call, const ModelSpec& spec);

  // FAILED_PRECONDITION for outputs that JSON cannot carry; INTERNAL for a
  // response that is none or does not fit itself.
  absl::StatusOr<RestAnswer> WriteAnswer(std::string_view response, const AnswerForm& form);

 private:
  const std::unique_ptr<RequestReader> reader_;
  const std::unique_ptr<AnswerWriter> writer_;
};

}  // namespace torchfleet::gateway::rest
