#include "net/client/connection_pool.h"

#include <algorithm>
#include <utility>

#include "net/http1/http1_client.h"
#include "net/http2/connection.h"
#include "net/socket/socket_stream.h"
#include "net/tls/tls_stream.h"

namespace torchfleet::net {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(50), kLongestPause = absl::Seconds(2);

}  // namespace

ConnectionPool::ConnectionPool(Loop& loop, Address address, Options options)
    : loop_(loop), address_(std::move(address)), options_(std::move(options)) {}

ClientConnection* ConnectionPool::Choose() {
  ClientConnection* best = nullptr;
  int usable = 0;  // those that drain finish beside the others
  for (const auto& connection : connections_) {
    if (!connection->accepts_streams()) continue;
    if (connection->streams() == 0) return connection.get();
    ++usable;
    if (!best || connection->streams() < best->streams()) best = connection.get();
  }
  if (usable >= options_.connections || loop_.now() < next_try_) return best;
  auto socket = SocketStream::Connect(address_);
  if (!socket.ok()) return best;
  std::unique_ptr<ByteStream> bytes = *std::move(socket);
  if (options_.tls) bytes = Encrypted(std::move(bytes));
  auto& owner = static_cast<Connection::Owner&>(*this);
  if (options_.http == Http::k1) {
    connections_.push_back(
        std::make_unique<Http1Client>(loop_, std::move(bytes), options_.limits, owner));
  } else {
    connections_.push_back(std::make_unique<Http2Connection>(
        Http2Connection::Role::kClient, loop_, std::move(bytes), options_.limits, owner));
  }
  return connections_.back().get();
}

std::unique_ptr<ByteStream> ConnectionPool::Encrypted(std::unique_ptr<ByteStream> socket) const {
  std::string host = options_.server_name;
  if (host.empty()) host = address_.text.substr(0, address_.text.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);  // IPv6
  const auto protocol =
      options_.http == Http::k1 ? TlsStream::Protocol::kHttp1 : TlsStream::Protocol::kHttp2;
  return TlsStream::ForClient(*options_.tls, std::move(socket), host, protocol);
}

void ConnectionPool::OnConnectionClosed(Connection& connection) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const auto& c) { return c.get() == &connection; });
  if (!(*found)->failed()) {
    pause_ = absl::ZeroDuration();
  } else {
    pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
    next_try_ = loop_.now() + pause_ * std::uniform_real_distribution<>(0.5, 1.0)(random_);
  }
  loop_.DeleteLater(std::move(*found));
  connections_.erase(found);
}

}  // namespace torchfleet::net
