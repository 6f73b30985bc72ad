#pragma once
// Connections of the command line, and errors as a person reads them.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace torchfleet::cli {

// Without a limit on what an answer may hold.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>&
                                               credentials = grpc::InsecureChannelCredentials());

// The code's name and the server's words; or, when there was no server,
// UNAVAILABLE and where none was.
absl::Status Readable(const grpc::Status& status, const std::string& address);

}  // namespace torchfleet::cli
