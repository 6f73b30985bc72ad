#pragma once
// gRPC's status on the wire: the trailers grpc-status, grpc-message and
// grpc-status-details-bin, and what HTTP's own codes mean without them.
// Source: "gRPC over HTTP2", grpc/doc/PROTOCOL-HTTP2.md and
// http-grpc-status-mapping.md. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "net/http/headers.h"

namespace torchfleet::net {

struct GrpcStatus {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message = {};
  // A serialized google.rpc.Status, or empty.
  std::string details = {};

  bool ok() const { return code == absl::StatusCode::kOk; }
};

// Adds it to trailers (or to headers that are the whole answer).
void AddGrpcStatus(const GrpcStatus& status, Headers& trailers);
// From trailers, or from the headers of an answer that has none. `http_status`:
// what `:status` said. An answer without grpc-status is UNKNOWN or what the HTTP
// code means.
GrpcStatus ReadGrpcStatus(const Headers& trailers, std::string_view http_status);

// grpc-timeout: up to 8 digits and a unit, "100m". Nothing when it cannot be
// parsed.
std::optional<absl::Duration> ParseGrpcTimeout(std::string_view text);
// In the finest unit that its size fits; at least 1 ns.
std::string FormatGrpcTimeout(absl::Duration timeout);

// RFC 4648, section 4. Decoding takes it with and without padding, and gives
// nothing for what is no base64.
std::string EncodeBase64(std::string_view bytes);
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace torchfleet::net
