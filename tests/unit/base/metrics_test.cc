#include "base/metrics.h"

#include <arpa/inet.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet {
namespace {

// The whole answer to a GET, head and body.
std::string Get(const std::string& address, const std::string& path) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
  REQUIRE(write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[4096];
  for (ssize_t count; (count = read(fd, piece, sizeof piece)) > 0;) {
    answer.append(piece, static_cast<size_t>(count));
  }
  close(fd);
  return answer;
}

bool Contains(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  return text.find(part) != std::string::npos;
}

class OneGauge final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    prometheus::MetricFamily family;
    family.name = "torchfleet_test";
    family.type = prometheus::MetricType::Gauge;
    family.metric.emplace_back().gauge.value = 7;
    return {family};
  }
};

TEST_CASE("OperatorServer: takes a free port, and never one that is taken", "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0");
  REQUIRE(server.ok());
  CHECK((*server)->address() != "127.0.0.1:0");
  CHECK(OperatorServer::Start((*server)->address()).status().code() ==
        absl::StatusCode::kUnavailable);
}

TEST_CASE("OperatorServer: shows metrics, liveness, and readiness with its reason",
          "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0");
  REQUIRE(server.ok());
  const std::string& address = (*server)->address();
  CHECK(Contains(Get(address, "/healthz"), "HTTP/1.1 200"));
  CHECK(Contains(Get(address, "/readyz"), "HTTP/1.1 503"));
  (*server)->SetReadiness([] { return absl::UnavailableError("still waiting"); });
  CHECK(Contains(Get(address, "/readyz"), "still waiting"));
  (*server)->SetReadiness([] { return absl::OkStatus(); });
  CHECK(Contains(Get(address, "/readyz"), "HTTP/1.1 200"));
  (*server)->Register(std::make_shared<OneGauge>());
  CHECK(Contains(Get(address, "/metrics"), "torchfleet_test 7"));
  CHECK(Contains(Get(address, "/nowhere"), "HTTP/1.1 404"));
}

}  // namespace
}  // namespace torchfleet
