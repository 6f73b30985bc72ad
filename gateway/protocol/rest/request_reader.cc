#include "gateway/protocol/rest/request_reader.h"

#include <fmt/format.h>

namespace torchfleet::gateway::rest {

absl::Status Members::Add(unsigned bit, std::string_view name) {
  if (Has(bit)) return Invalid(name, fmt::format("'{}' came twice in one object", Clip(name)));
  seen_ |= 1U << bit;
  return absl::OkStatus();
}

void RequestReader::Begin() { parts_.Clear(); }

absl::StatusOr<RestRequest> RequestReader::Finish(const RestCall& call, AnswerForm form) {
  ASSIGN_OR_RETURN(const auto pieces, parts_.Write(call, limits_.message_bytes));
  return RestRequest{.pieces = pieces, .size = parts_.size(), .form = std::move(form)};
}

}  // namespace torchfleet::gateway::rest
