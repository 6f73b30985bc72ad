#include "cli/load/answer_check.h"

#include <fmt/format.h>

#include <cmath>

#include "base/status.h"
#include "cli/infer/answer_text.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::cli {
namespace {

using nlohmann::json;

bool Near(const json& a, const json& b) {
  if (a.is_array() && b.is_array()) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!Near(a[i], b[i])) return false;
    }
    return true;
  }
  // A float that is whole may be written without its point.
  if (!a.is_number() || !b.is_number() || (!a.is_number_float() && !b.is_number_float())) {
    return a == b;
  }
  const double x = a.get<double>(), y = b.get<double>();
  return std::abs(x - y) <= std::max(1e-5, 1e-4 * std::max(std::abs(x), std::abs(y)));
}

class GrpcCheck final : public AnswerCheck {
 public:
  absl::StatusOr<CheckedAnswer> Read(std::string_view answer) const override {
    inference::ModelInferResponse response;
    if (!response.ParseFromArray(answer.data(), static_cast<int>(answer.size()))) {
      return absl::InvalidArgumentError("the answer is no ModelInferResponse");
    }
    ASSIGN_OR_RETURN(const std::string text, AnswerAsJson(response));
    return CheckedAnswer{response.id(), json::parse(text).at("outputs")};
  }
};

class RestCheck final : public AnswerCheck {
 public:
  absl::StatusOr<CheckedAnswer> Read(std::string_view answer) const override {
    const json document = json::parse(answer, nullptr, false);
    if (!document.is_object() || !document.contains("outputs") || !document["outputs"].is_array()) {
      return absl::InvalidArgumentError("the answer is no JSON object with outputs");
    }
    for (const json& output : document["outputs"]) {
      if (!output.is_object()) return absl::InvalidArgumentError("an output is no JSON object");
    }
    const json id = document.value("id", json());
    return CheckedAnswer{id.is_string() ? id.get<std::string>() : "", document["outputs"]};
  }
};

}  // namespace

absl::Status AnswerCheck::Compare(std::string_view answer, std::string_view id,
                                  std::optional<CheckedAnswer>& first) const {
  ASSIGN_OR_RETURN(CheckedAnswer read, Read(answer));
  if (read.id != id) {
    return absl::FailedPreconditionError(
        fmt::format("the answer to call '{}' has the id '{}'", id, read.id.substr(0, 64)));
  }
  if (!first) {
    first = std::move(read);
    return absl::OkStatus();
  }
  if (read.outputs.size() != first->outputs.size()) {
    return absl::FailedPreconditionError(
        fmt::format("an answer has {} outputs where the first had {}", read.outputs.size(),
                    first->outputs.size()));
  }
  for (size_t i = 0; i < read.outputs.size(); ++i) {
    const json &one = read.outputs[i], &other = first->outputs[i];
    for (const char* part : {"name", "datatype", "shape", "data"}) {
      if (Near(one.value(part, json()), other.value(part, json()))) continue;
      return absl::FailedPreconditionError(fmt::format(
          "the {} of output {} is not what it was in the first answer to the same request", part,
          other.value("name", json()).dump().substr(0, 64)));
    }
  }
  return absl::OkStatus();
}

std::unique_ptr<AnswerCheck> GrpcAnswerCheck() { return std::make_unique<GrpcCheck>(); }
std::unique_ptr<AnswerCheck> RestAnswerCheck() { return std::make_unique<RestCheck>(); }

}  // namespace torchfleet::cli
