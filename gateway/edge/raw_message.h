#pragma once
// Messages as gRPC's bytes: read in place, parsed whole, or written.

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "wire/infer_request_scan.h"

namespace torchfleet::gateway {

// Copies nothing but the texts it returns.
absl::StatusOr<wire::InferRequestHead> ScanHead(const grpc::ByteBuffer& bytes);

// For small messages: copies. INVALID_ARGUMENT for bytes that are none.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::Message& message);
void WriteMessage(const google::protobuf::Message& message, grpc::ByteBuffer& bytes);

}  // namespace torchfleet::gateway
