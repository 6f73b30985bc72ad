#pragma once
// Where to listen or connect: "host:port" (a name, IPv4 or [IPv6]),
// "unix:/path", or "unix-abstract:name", which no file stands for.

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace torchfleet::net {

struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  // "127.0.0.1:8001", "[::1]:8001" or "unix:/path".
  std::string text;

  int family() const { return storage.ss_family; }
};

// INVALID_ARGUMENT for what is no address; UNAVAILABLE for a name that cannot be
// resolved now. Looks names up and so may block: before a loop runs only.
absl::StatusOr<Address> ParseAddress(std::string_view text);

// Of this machine, by IP: 127.0.0.0/8, ::1, and the former as IPv6 has it.
bool IsLoopback(const sockaddr_storage& address);

// The address a socket is bound to.
Address BoundAddress(int fd);

}  // namespace torchfleet::net
