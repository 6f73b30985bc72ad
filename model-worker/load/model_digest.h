#pragma once
// The SHA-256 of a model's file, and the one that its configuration pins:
//
//   parameters { key: "MODEL_SHA256" value { string_value: "<64 hex digits>" } }

#include <string>

#include "absl/status/statusor.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/load/byte_source.h"

namespace torchfleet::worker {

// 64 lower-case hex digits. Reads all of it, in pieces.
absl::StatusOr<std::string> Sha256(const ByteSource& bytes);

// OK without a pin. FAILED_PRECONDITION, with both digests, when the file has
// another, or when the pin is none.
absl::Status CheckDigest(const ByteSource& file, const ModelSpec& spec);

}  // namespace torchfleet::worker
