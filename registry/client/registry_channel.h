#pragma once
// The way to a registry of which there may be several: to one of them at random,
// and to the next when that one fails.
//
// Notices a frozen one by keepalive. How long to wait between tries is for whoever
// makes them: a channel that failed is made anew, so that gRPC's own pauses do
// not come on top. Not thread-safe.

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace torchfleet::registry {

// "host:port,host:port": at least one. INVALID_ARGUMENT names the part that is
// none.
absl::StatusOr<std::vector<std::string>> ParseAddresses(std::string_view addresses);

class RegistryChannel {
 public:
  // Addresses that cannot be parsed are an address that nobody answers at.
  RegistryChannel(std::string_view addresses, uint32_t seed);

  const std::shared_ptr<grpc::Channel>& Get();
  // It did not answer, or not to the end.
  void Failed();

  const std::string& address() const { return addresses_[at_]; }
  // Whether there is another one to turn to.
  bool several() const { return addresses_.size() > 1; }

 private:
  std::vector<std::string> addresses_;
  size_t at_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace torchfleet::registry
