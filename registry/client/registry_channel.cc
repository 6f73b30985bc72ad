#include "registry/client/registry_channel.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "base/status.h"

namespace torchfleet::registry {
namespace {

bool IsAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  int port = 0;
  return colon != std::string::npos && colon > 0 &&
         absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 && port < 65536;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  // gRPC takes this as the time that connecting may take: a frozen registry's
  // kernel still accepts.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  // Another channel to the same address neither waits for this one's pauses nor
  // shares its connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
  // The whole fleet is in one snapshot.
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseAddresses(std::string_view addresses) {
  std::vector<std::string> parsed;
  while (true) {
    const size_t comma = addresses.find(',');
    std::string address(addresses.substr(0, comma));
    if (!IsAddress(address)) {
      return absl::InvalidArgumentError(
          fmt::format("the registry's address is '{}'; expected host:port, or several of them "
                      "with commas between",
                      Clip(address)));
    }
    parsed.push_back(std::move(address));
    if (comma == std::string_view::npos) return parsed;
    addresses.remove_prefix(comma + 1);
  }
}

RegistryChannel::RegistryChannel(std::string_view addresses, uint32_t seed) {
  auto parsed = ParseAddresses(addresses);
  addresses_ = parsed.ok() ? *std::move(parsed) : std::vector{std::string(addresses)};
  at_ = seed % addresses_.size();
}

const std::shared_ptr<grpc::Channel>& RegistryChannel::Get() {
  if (!channel_) channel_ = Connect(address());
  return channel_;
}

void RegistryChannel::Failed() {
  channel_.reset();
  at_ = (at_ + 1) % addresses_.size();
}

}  // namespace torchfleet::registry
