#pragma once
// Accepts connections on a loop.
//
// Without file descriptors it stops accepting for a while, and goes on when
// there may be some again; who connects meanwhile waits in the kernel's queue.
//
// Lifecycle: Open; destruction closes the socket. Only on the loop's thread,
// but for Open, which may come before the loop runs.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "net/loop/loop.h"
#include "net/socket/address.h"

namespace torchfleet::net {

class Listener final : public Watcher {
 public:
  // `on_accept` gets a connected, non-blocking socket, which is its own then.
  // UNAVAILABLE when the address is in use or not this machine's. Listeners of
  // several loops share a TCP address: the kernel spreads connections.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(Loop& loop, const Address& address,
                                                        std::function<void(int fd)> on_accept);
  ~Listener();

  // UNAVAILABLE when somebody listens there already: as addresses are shared,
  // Open alone would not notice.
  static absl::Status CheckFree(const Address& address);

  // With the port that a port of 0 became.
  const Address& address() const { return address_; }

 private:
  Listener(Loop& loop, int fd, std::function<void(int fd)> on_accept);
  void OnEvents(uint32_t events) override;

  Loop& loop_;
  const int fd_;
  const Address address_;
  const std::function<void(int fd)> on_accept_;
  Timer pause_;
  bool exhausted_ = false;  // and it was said
};

}  // namespace torchfleet::net
