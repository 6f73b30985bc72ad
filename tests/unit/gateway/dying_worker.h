#pragma once
// A worker that dies of requests.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>

namespace torchfleet::gateway {

// Dies of each request for a model `deadly`: its connection breaks.
class DyingWorker {
 public:
  DyingWorker() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* const any = reinterpret_cast<sockaddr*>(&at);
    REQUIRE(bind(listener_, any, size) == 0);
    REQUIRE(listen(listener_, 16) == 0);
    REQUIRE(getsockname(listener_, any, &size) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::jthread([this] { Run(); });
  }
  ~DyingWorker() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  const std::string& address() const { return address_; }
  int deaths() const { return deaths_; }

 private:
  void Run() {
    char bytes[4096];
    for (int peer = 0; (peer = accept(listener_, nullptr, nullptr)) >= 0; close(peer)) {
      // A request's message names its model; a connection without one just ends.
      std::string seen;
      for (ssize_t count = 0; (count = recv(peer, bytes, sizeof bytes, 0)) > 0;) {
        seen.append(bytes, static_cast<size_t>(count));
        if (seen.find("deadly") == std::string::npos) continue;
        ++deaths_;
        break;
      }
    }
  }

  const int listener_;
  std::string address_;
  std::atomic<int> deaths_ = 0;
  std::jthread thread_;
};

}  // namespace torchfleet::gateway
