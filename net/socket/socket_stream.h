#pragma once
// A plain TCP or Unix socket as a ByteStream, and how one is made.

#include <memory>

#include "absl/status/statusor.h"
#include "net/socket/address.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

class SocketStream final : public ByteStream {
 public:
  // Takes over a non-blocking socket.
  explicit SocketStream(int fd) : fd_(fd) {}
  ~SocketStream() override;

  // A connection that is under way: the socket is writable when it is made or
  // has failed, which the first Write then tells. UNAVAILABLE when it failed at
  // once, RESOURCE_EXHAUSTED without file descriptors.
  static absl::StatusOr<std::unique_ptr<SocketStream>> Connect(const Address& address);

  int fd() const override { return fd_; }
  ssize_t Read(char* room, size_t size) override;
  ssize_t Write(const iovec* parts, int count) override;
  void EndWriting() override;

 private:
  const int fd_;
};

// How a TCP connection to `peer` sends. Without waiting for more to send with it.
// To this machine itself also without pacing, whatever the system's congestion
// control: there is nothing to pace for, and BBR's timers are near a third of what
// large messages cost. Of no effect on Unix sockets.
void TuneTcp(int fd, const sockaddr_storage& peer);

}  // namespace torchfleet::net
