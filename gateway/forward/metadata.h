#pragma once
// Carries metadata from one side of the gateway to the other.
//
// What belongs to one hop alone (grpc-*, content-type, user-agent, …) stays;
// what gRPC would refuse to send on stays too, whatever it accepted before:
// refusing would end this process.

#include <grpcpp/grpcpp.h>

#include <map>

namespace torchfleet::gateway {

using ReceivedMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// The caller's, for the worker.
void CopyRequestMetadata(const ReceivedMetadata& from, grpc::ClientContext& to);
// The worker's, for the caller. Binary status details travel in the status.
void CopyInitialMetadata(const ReceivedMetadata& from, grpc::CallbackServerContext& to);
void CopyTrailingMetadata(const ReceivedMetadata& from, grpc::CallbackServerContext& to);

}  // namespace torchfleet::gateway
