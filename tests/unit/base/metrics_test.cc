#include "base/metrics.h"

#include <prometheus/metric_family.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/http_get.h"

namespace torchfleet {
namespace {

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

// What the page was asked, and how often.
struct Asked {
  OperatorRequest last;
  int times = 0;
};

TEST_CASE("OperatorServer: brings requests to a page as they came", "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0", 4);
  REQUIRE(server.ok());
  Asked asked;
  (*server)->AddPage("/v1/things", [&asked](const OperatorRequest& request) {
    asked.last = request;
    ++asked.times;
    return OperatorAnswer{.code = 409, .body = "no", .headers = {{"ETag", "\"5\""}}};
  });
  const std::string& address = (*server)->address();
  const std::string answer = Get(address, "/v1/things/a%20b%00c/d?x=1%262&y=+&flag");
  CHECK(Contains(answer, "HTTP/1.1 409 Conflict\r\n"));
  CHECK(Contains(answer, "\r\nETag: \"5\"\r\n"));
  using namespace std::string_literals;
  CHECK(asked.last.method == "GET");
  CHECK(asked.last.path == std::vector{"v1"s, "things"s, "a b\0c"s, "d"s});
  CHECK(asked.last.query ==
        std::vector<std::pair<std::string, std::string>>{{"x", "1&2"}, {"y", " "}, {"flag", ""}});
  CHECK(asked.last.peer == "127.0.0.1");
  CHECK(Contains(Get(address, "/v1/things/%2"), "HTTP/1.1 400"));
  CHECK(asked.times == 1);
}

TEST_CASE("OperatorServer: takes bodies up to its limit", "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0");
  REQUIRE(server.ok());
  (*server)->AddPage("/v1/things", [](const OperatorRequest& request) {
    return OperatorAnswer{.body = request.method + " of " + std::to_string(request.body.size()) +
                                  " by " + request.if_match + " as " + request.content_type};
  });
  const auto ask = [&](size_t bytes) {
    return Exchange((*server)->address(),
                    "PUT /v1/things HTTP/1.1\r\nHost: test\r\nIf-Match: \"7\"\r\nContent-Type: "
                    "application/json\r\nContent-Length: " +
                        std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'x'));
  };
  CHECK(Contains(ask(3), "PUT of 3 by \"7\" as application/json"));
  CHECK(Contains(ask(kMaxOperatorBody), "PUT of 1048576 by"));
  CHECK(Contains(ask(kMaxOperatorBody + 1), "HTTP/1.1 413"));
}

}  // namespace
}  // namespace torchfleet
