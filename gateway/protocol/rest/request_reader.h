#pragma once
// Reads the bodies of inference calls into RequestParts.
//
// One Read…() per form of a body; each begins anew and ends with the request
// written. The grammar of each form stands in its .cc file: infer_reader.cc for
// /v2, predict_reader.cc for /v1 and /predict, generate_reader.cc for generate.
//
// Lifecycle and borrowing as RestCodec's. Not thread-safe.

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/protocol/rest/request_parts.h"
#include "gateway/protocol/rest/rest_codec.h"

namespace torchfleet::gateway::rest {

// The members that one object had, by the bits that its reader gives them.
class Members {
 public:
  // INVALID_ARGUMENT when the member came before.
  absl::Status Add(unsigned bit, std::string_view name);
  bool Has(unsigned bit) const { return (seen_ >> bit & 1) != 0; }

 private:
  unsigned seen_ = 0;
};

class RequestReader {
 public:
  explicit RequestReader(const RestLimits& limits) : limits_(limits) {}

  absl::StatusOr<RestRequest> ReadInfer(const RestCall& call, const ModelSpec* spec);
  absl::StatusOr<RestRequest> ReadV1Predict(const RestCall& call, const ModelSpec& spec);
  absl::StatusOr<RestRequest> ReadPlainPredict(const RestCall& call, const ModelSpec& spec);
  absl::StatusOr<RestRequest> ReadGenerate(const RestCall& call, const ModelSpec& spec,
                                           AnswerForm::Kind kind);

 private:
  void Begin();
  absl::StatusOr<RestRequest> Finish(const RestCall& call, AnswerForm form);

  RestLimits limits_;
  RequestParts parts_;
};

}  // namespace torchfleet::gateway::rest
