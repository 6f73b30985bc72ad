#include "gateway/forward/worker_links.h"

#include <algorithm>

#include "gateway/forward/backend.h"
#include "net/socket/socket_stream.h"

namespace torchfleet::gateway {
namespace {

net::Http2Options Options() {
  net::Http2Options options;
  options.limits.header_bytes = 64 << 10;
  options.limits.stream_window = 1 << 20;
  options.limits.connection_window = 16 << 20;
  options.times.idle = absl::InfiniteDuration();
  options.times.ping_after = kPingInterval;
  options.times.ping_answer = kFrozenAfter - kPingInterval;
  return options;
}

}  // namespace

WorkerLinks::WorkerLinks(net::Loop& loop) : loop_(loop), options_(Options()) {}

WorkerLinks::~WorkerLinks() = default;

net::Http2Connection* WorkerLinks::Find(const net::Address& address) {
  const auto found = current_.find(address.text);
  if (found != current_.end() && found->second->accepts_streams()) return found->second;
  auto stream = net::SocketStream::Connect(address);
  if (!stream.ok()) return nullptr;
  all_.push_back(std::make_unique<net::Http2Connection>(
      net::Http2Connection::Role::kClient, loop_, *std::move(stream), options_,
      static_cast<net::Http2Connection::Owner&>(*this)));
  return current_[address.text] = all_.back().get();
}

void WorkerLinks::OnConnectionClosed(net::Connection& connection) {
  std::erase_if(current_, [&](const auto& entry) { return entry.second == &connection; });
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& owned) { return owned.get() == &connection; });
  loop_.DeleteLater(std::move(*found));
  all_.erase(found);
}

}  // namespace torchfleet::gateway
