#include "gateway/forward/backend.h"

#include <grpcpp/support/channel_arguments.h>

namespace torchfleet::gateway {
namespace {

constexpr int kConnectTimeoutMs = 1000;
constexpr int kFirstBackoffMs = 100;
constexpr int kLongestBackoffMs = 2000;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Retries are ours: they go to another replica.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kPingInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kFrozenAfter - kPingInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  // Pings also while the worker thinks and nothing else travels.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // gRPC takes this as the time that connecting may take, too.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstBackoffMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestBackoffMs);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

std::optional<net::Address> Resolve(const std::string& address) {
  auto resolved = net::ParseAddress(address);
  if (!resolved.ok()) return std::nullopt;
  return *std::move(resolved);
}

}  // namespace

Backend::Backend(const std::string& address, size_t loops, Instant now)
    : address_(address),
      net_address_(Resolve(address)),
      channel_(Connect(address)),
      stub_(channel_),
      health_(loops, now) {
  // The first call need not wait for the connection.
  channel_->GetState(/*try_to_connect=*/true);
}

void Backend::Reconnect(Instant now) {
  health_.Renewed(now);
  grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
  channel_->GetState(/*try_to_connect=*/true);
}

void BackendTable::Update(const std::map<std::string, uint64_t>& epochs, Instant now) {
  const auto table = table_.Get();
  Table next;
  for (const auto& [address, epoch] : epochs) {
    const auto known = table->find(address);
    if (known == table->end()) {
      next.emplace(address, std::make_shared<Backend>(address, loops_, now));
      continue;
    }
    if (epochs_[address] != epoch) known->second->Reconnect(now);
    next.emplace(address, known->second);
  }
  epochs_ = epochs;
  table_.Set(std::move(next));
}

}  // namespace torchfleet::gateway
