#pragma once
// REST's calls that are no inference as the gRPC calls they stand for, and the
// answers as documents. Off the path of a call.
//
// Pure functions; thread-safe.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/protocol/rest/routes.h"

namespace torchfleet::gateway {

struct ControlRequest {
  // "/inference.GRPCInferenceService/…".
  std::string method;
  // The message, serialized.
  std::string message;
};

struct ControlDocument {
  // The HTTP status that goes with it.
  int code = 200;
  // Empty for an answer without a body.
  std::string json;
};

// Of every action that is neither inference nor answered by the edge itself.
// INVALID_ARGUMENT for a body that is not what the action takes.
absl::StatusOr<ControlRequest> ControlRequestOf(const rest::RestRoute& route,
                                                std::string_view body);
// `response`: the answer's message. NOT_FOUND where a list shows that the model
// is not known; INTERNAL for a message that cannot be read.
absl::StatusOr<ControlDocument> ControlDocumentOf(const rest::RestRoute& route,
                                                  std::string_view response);

}  // namespace torchfleet::gateway
