#pragma once
// HTTP/1.1 by hand, for a test.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet {

// What comes back for these bytes until the connection closes.
inline std::string Exchange(const std::string& address, const std::string& request) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  REQUIRE(write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[4096];
  for (ssize_t count; (count = read(fd, piece, sizeof piece)) > 0;) {
    answer.append(piece, static_cast<size_t>(count));
  }
  close(fd);
  return answer;
}

// The whole answer to a GET, head and body.
inline std::string Get(const std::string& address, const std::string& path) {
  return Exchange(address, "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
}

}  // namespace torchfleet
