#include "net/socket/listener.h"

#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "net/socket/socket_stream.h"

namespace torchfleet::net {
namespace {

// Also how many connections a loop takes in one turn.
constexpr int kBacklog = 1024, kMostAccepted = 64;
constexpr absl::Duration kPause = absl::Milliseconds(100);

absl::Status CannotListen(const Address& address) {
  return absl::UnavailableError(
      fmt::format("cannot listen on {}: {}", address.text, std::strerror(errno)));
}

// The socket file of a process that is gone is in the way; that of one that
// lives is not.
void RemoveDeadSocket(const Address& address) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return;
  if (connect(probe, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
      errno == ECONNREFUSED) {
    unlink(reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path);
  }
  close(probe);
}

}  // namespace

absl::Status Listener::CheckFree(const Address& address) {
  if (address.family() == AF_UNIX) return absl::OkStatus();  // never shared
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(address);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  absl::Status status;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    status = CannotListen(address);
  }
  close(fd);
  return status;
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(Loop& loop, const Address& address,
                                                         std::function<void(int fd)> on_accept) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(address);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (address.family() == AF_UNIX) {
    RemoveDeadSocket(address);
  } else {
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  }
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      listen(fd, kBacklog) != 0) {
    const absl::Status status = CannotListen(address);
    close(fd);
    return status;
  }
  return std::unique_ptr<Listener>(new Listener(loop, fd, std::move(on_accept)));
}

Listener::Listener(Loop& loop, int fd, std::function<void(int fd)> on_accept)
    : loop_(loop),
      fd_(fd),
      address_(BoundAddress(fd)),
      on_accept_(std::move(on_accept)),
      pause_(loop, [this] { loop_.ChangeEvents(fd_, EPOLLIN, this); }) {
  loop_.Watch(fd_, EPOLLIN, this);
}

Listener::~Listener() {
  loop_.Unwatch(fd_, this);
  close(fd_);
  if (address_.family() == AF_UNIX) {
    unlink(reinterpret_cast<const sockaddr_un*>(&address_.storage)->sun_path);
  }
}

void Listener::OnEvents(uint32_t) {
  for (int i = 0; i < kMostAccepted; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd =
        accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      TuneTcp(fd, peer);
      exhausted_ = false;
      on_accept_(fd);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      if (!std::exchange(exhausted_, true)) {
        LogWarning("no file descriptors are left; new connections wait",
                   {{"address", address_.text}});
      }
      loop_.ChangeEvents(fd_, 0, this);
      pause_.Start(kPause);
    }
    if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

}  // namespace torchfleet::net
