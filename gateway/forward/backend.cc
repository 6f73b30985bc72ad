#include "gateway/forward/backend.h"

#include <grpcpp/support/channel_arguments.h>

#include <utility>

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

Backend::Backend(std::string address, size_t loops, Instant now)
    : address_(std::move(address)), net_address_(Resolve(address_)), health_(loops, now) {}

grpc::GenericStub& Backend::stub() {
  const std::lock_guard lock(mu_);
  if (!stub_) {
    channel_ = Connect(address_);
    stub_.emplace(channel_);
  }
  return *stub_;
}

void Backend::Reconnect(Instant now) {
  health_.Renewed(now);
  const std::lock_guard lock(mu_);
  if (!channel_) return;
  grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
  channel_->GetState(/*try_to_connect=*/true);
}

void BackendTable::Update(const std::map<std::string, std::optional<uint64_t>>& changes,
                          Instant now) {
  const auto table = table_.Get();
  Table::Changes next;
  for (const auto& [address, epoch] : changes) {
    const auto known = table->find(address);
    if (!epoch) {
      if (known != table->end()) {
        known->second->SetLeft();
        next[address] = std::nullopt;
      }
      epochs_.erase(address);
      continue;
    }
    if (known == table->end()) {
      next[address] = std::make_shared<Backend>(address, loops_, now);
    } else if (epochs_[address] != *epoch) {
      known->second->Reconnect(now);
    }
    epochs_[address] = *epoch;
  }
  if (!next.empty()) table_.Set(table->With(next));
}

}  // namespace torchfleet::gateway
