#pragma once
// The raw mode of /v2: a body that is one tensor's bytes and nothing else.
//
// Pure; thread-safe.

#include "absl/status/status.h"
#include "gateway/protocol/rest/request_parts.h"

namespace torchfleet::gateway::rest {

// Adds the model's one input, a batch of one, which borrows the body. Its one
// dimension that is free is told by the body's length; of several the first is
// the batch. A BYTES input is one element, the body without a length in front.
// INVALID_ARGUMENT when the model or the length is not like that; `spec` may be
// null, for a model of which nothing is known.
absl::Status ReadRawInput(const RestCall& call, const ModelSpec* spec, RequestParts& parts);

}  // namespace torchfleet::gateway::rest
