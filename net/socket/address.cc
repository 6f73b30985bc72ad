#include "net/socket/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "base/status.h"

namespace torchfleet::net {
namespace {

constexpr std::string_view kUnix = "unix:", kAbstract = "unix-abstract:";

absl::Status NoAddress(std::string_view text) {
  return absl::InvalidArgumentError(
      fmt::format("the address is '{}'; expected host:port or unix:/path", Clip(text)));
}

// An abstract name begins with a zero byte and has none at its end.
absl::StatusOr<Address> UnixAddress(std::string_view path, bool abstract, std::string_view text) {
  Address address;
  auto* const name = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() + 1 >= sizeof name->sun_path ||
      path.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError(fmt::format("the path in '{}' has {} bytes; expected 1 to {}",
                                                  Clip(text), path.size(),
                                                  sizeof name->sun_path - 2));
  }
  name->sun_family = AF_UNIX;
  std::memcpy(name->sun_path + (abstract ? 1 : 0), path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  address.text = std::string(text);
  return address;
}

}  // namespace

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  if (text.substr(0, kUnix.size()) == kUnix) {
    return UnixAddress(text.substr(kUnix.size()), /*abstract=*/false, text);
  }
  if (text.substr(0, kAbstract.size()) == kAbstract) {
    return UnixAddress(text.substr(kAbstract.size()), /*abstract=*/true, text);
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return NoAddress(text);
  std::string host(text.substr(0, colon));
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port(text.substr(colon + 1));
  uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > 65535 || host.empty()) return NoAddress(text);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0 || found == nullptr) {
    return absl::UnavailableError(fmt::format(
        "the host in '{}' cannot be found; expected a name or number of a host", Clip(text)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  address.text = std::string(text);
  return address;
}

bool IsLoopback(const sockaddr_storage& address) {
  constexpr uint32_t kNet = 127;  // the first byte
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(in.sin_addr.s_addr) >> 24 == kNet;
  }
  if (address.ss_family != AF_INET6) return false;
  const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == kNet);
}

Address BoundAddress(int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return {};
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    address.text = fmt::format("{}:{}", text, ntohs(in->sin_port));
  } else if (address.family() == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
    address.text = fmt::format("[{}]:{}", text, ntohs(in->sin6_port));
  } else if (address.family() == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(&address.storage);
    address.text = fmt::format("{}{}", kUnix, un->sun_path);
  }
  return address;
}

}  // namespace torchfleet::net
