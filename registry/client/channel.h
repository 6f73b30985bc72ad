#pragma once
// The channel to a registry: notices a frozen one by keepalive and finds one
// that came back within a second.

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace torchfleet::registry {

std::shared_ptr<grpc::Channel> ConnectToRegistry(const std::string& address);

}  // namespace torchfleet::registry
