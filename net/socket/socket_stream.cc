#include "net/socket/socket_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>

namespace torchfleet::net {
namespace {

ssize_t Result(ssize_t result) {
  if (result >= 0) return result;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? ByteStream::kWait
                                                                   : ByteStream::kBroken;
}

}  // namespace

void TuneTcp(int fd, const sockaddr_storage& peer) {
  if (peer.ss_family == AF_UNIX) return;
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  // Every kernel has it, and it paces nothing.
  constexpr std::string_view kUnpaced = "reno";
  if (IsLoopback(peer)) {
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kUnpaced.data(), kUnpaced.size());
  }
}

SocketStream::~SocketStream() { close(fd_); }

absl::StatusOr<std::unique_ptr<SocketStream>> SocketStream::Connect(const Address& address) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ResourceExhaustedError("no file descriptors are left for a connection");
  auto stream = std::make_unique<SocketStream>(fd);
  TuneTcp(fd, address.storage);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
      errno != EINPROGRESS) {
    return absl::UnavailableError("nobody listens at the address");
  }
  return stream;
}

ssize_t SocketStream::Read(char* room, size_t size) { return Result(recv(fd_, room, size, 0)); }

void SocketStream::EndWriting() { shutdown(fd_, SHUT_WR); }

ssize_t SocketStream::Write(const iovec* parts, int count) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  const ssize_t result = sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (result == 0) return kWait;
  // A connection that is still under way takes nothing yet.
  if (result < 0 && errno == ENOTCONN) return kWait;
  return Result(result);
}

}  // namespace torchfleet::net
