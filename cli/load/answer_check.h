#pragma once
// Whether an answer is the one to this call, and as answers to the same request
// are. Pure.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {

// An answer as checks see it.
struct CheckedAnswer {
  std::string id;
  nlohmann::json outputs;
};

class AnswerCheck {
 public:
  virtual ~AnswerCheck() = default;
  // INVALID_ARGUMENT for what is no answer.
  virtual absl::StatusOr<CheckedAnswer> Read(std::string_view answer) const = 0;

  // The answer's id is `id`, and its outputs are those of `first`, which is set
  // when it is empty. Batches of different sizes may round differently, so
  // numbers with a fraction may differ by a ten-thousandth of themselves or
  // 1e-5. FAILED_PRECONDITION says what differs.
  absl::Status Compare(std::string_view answer, std::string_view id,
                       std::optional<CheckedAnswer>& first) const;
};

// A serialized ModelInferResponse.
std::unique_ptr<AnswerCheck> GrpcAnswerCheck();
// A JSON document of /v2/models/…/infer.
std::unique_ptr<AnswerCheck> RestAnswerCheck();

}  // namespace torchfleet::cli
