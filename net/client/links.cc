#include "net/client/links.h"

#include <algorithm>

#include "net/socket/socket_stream.h"

namespace torchfleet::net {

Http2Connection* Links::Find(const Address& address) {
  const auto found = current_.find(address.text);
  if (found != current_.end() && found->second->accepts_streams()) return found->second;
  auto stream = SocketStream::Connect(address);
  if (!stream.ok()) return nullptr;
  all_.push_back(std::make_unique<Http2Connection>(Http2Connection::Role::kClient, loop_,
                                                   *std::move(stream), options_,
                                                   static_cast<Http2Connection::Owner&>(*this)));
  return current_[address.text] = all_.back().get();
}

void Links::OnConnectionClosed(Connection& connection) {
  std::erase_if(current_, [&](const auto& entry) { return entry.second == &connection; });
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& owned) { return owned.get() == &connection; });
  loop_.DeleteLater(std::move(*found));
  all_.erase(found);
}

}  // namespace torchfleet::net
