#pragma once
// Reads a /v2 object of parameters into a request's parts.
//
// Those that say how tensors travel in REST are taken out: what is behind the
// gateway always has them raw.
//
// Lifecycle: one per body and kind (the message's, its tensors'), for any number
//   of objects; together they hold at most wire::MessageLimits::parameters.
// Borrows the cursor and the parts. Not thread-safe.

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/protocol/rest/json_cursor.h"
#include "gateway/protocol/rest/request_parts.h"
#include "wire/infer_views.h"

namespace torchfleet::gateway::rest {

struct ReservedParameters {
  // An output's.
  std::optional<bool> binary_data;
  // The message's, for the outputs that say nothing.
  std::optional<bool> binary_data_output;
  // An input's: bytes behind the JSON.
  std::optional<int64_t> binary_data_size;
};

class ParameterReader {
 public:
  ParameterReader(JsonCursor& cursor, RequestParts& parts) : cursor_(cursor), parts_(parts) {}

  // The object at the cursor; `where` is for errors. INVALID_ARGUMENT for a
  // parameter that comes twice or is no text, number, true or false.
  absl::StatusOr<ReservedParameters> Read(std::string_view where, ParameterRange& range);
  // The value at the cursor, of a parameter of that name.
  absl::StatusOr<wire::ParameterValue> ReadValue(std::string_view key);

 private:
  absl::Status ReadOne(std::string_view where, std::string_view key, ParameterRange& range,
                       ReservedParameters& reserved);
  absl::StatusOr<wire::ParameterValue> ReadNumber(std::string_view key);

  JsonCursor& cursor_;
  RequestParts& parts_;
  size_t left_ = wire::MessageLimits().parameters;
};

}  // namespace torchfleet::gateway::rest
