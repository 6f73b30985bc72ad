#include "gateway/protocol/web/cross_origin.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::gateway {
namespace {

net::Headers From(std::string_view origin) {
  net::Headers request;
  request.Add(":method", "POST");
  if (!origin.empty()) request.Add("origin", origin);
  return request;
}

std::string AllowedBy(const CrossOrigin& origins, std::string_view origin) {
  net::Headers answer;
  origins.AddTo(From(origin), answer);
  return std::string(answer.ValueOr("access-control-allow-origin", "none"));
}

TEST_CASE("CrossOrigin: pages of this machine may call, others when they are named",
          "[gateway][web]") {
  const CrossOrigin named({"https://example.org"});
  struct Row {
    const char* origin;
    bool allowed;
  };
  for (const Row& row :
       {Row{"http://localhost:3000", true}, Row{"https://localhost", true},
        Row{"http://127.0.0.1:8080", true}, Row{"http://[::1]:1", true},
        Row{"https://example.org", true}, Row{"http://example.org", false},
        Row{"https://example.org.evil.net", false}, Row{"http://localhost.evil.net", false},
        Row{"null", false}, Row{"http://127.0.0.1.evil.net", false}}) {
    CAPTURE(row.origin);
    CHECK(AllowedBy(named, row.origin) == (row.allowed ? row.origin : "none"));
  }
  CHECK(AllowedBy(CrossOrigin({"*"}), "https://anybody.net") == "https://anybody.net");
  net::Headers same;
  named.AddTo(From(""), same);
  CHECK(same.empty());
}

TEST_CASE("CrossOrigin: caches are told that the answer depends on the page", "[gateway][web]") {
  net::Headers answer;
  CrossOrigin({}).AddTo(From("https://example.org"), answer);
  CHECK(answer.ValueOr("vary", "") == "origin");
}

TEST_CASE("CrossOrigin: a preflight is told what it asked for", "[gateway][web]") {
  net::Headers request;
  request.Add(":method", "OPTIONS");
  request.Add("origin", "http://localhost:3000");
  CHECK_FALSE(CrossOrigin::IsPreflight(request));
  request.Add("access-control-request-method", "POST");
  request.Add("access-control-request-headers", "content-type,x-grpc-web");
  REQUIRE(CrossOrigin::IsPreflight(request));
  net::Headers answer;
  CrossOrigin({}).AnswerPreflight(request, answer);
  CHECK(answer.ValueOr(":status", "") == "204");
  CHECK(answer.ValueOr("access-control-allow-origin", "") == "http://localhost:3000");
  CHECK(answer.ValueOr("access-control-allow-headers", "") == "content-type,x-grpc-web");
}

TEST_CASE("CrossOrigin: what no browser sends is refused at the start", "[gateway][web]") {
  CHECK(CrossOrigin::Check({"https://a.org", "http://b:80", "*"}).ok());
  for (const char* wrong : {"", "a.org", "https://", "https://a.org/page", "ftp://a.org"}) {
    CAPTURE(wrong);
    CHECK(absl::IsInvalidArgument(CrossOrigin::Check({wrong})));
  }
}

}  // namespace
}  // namespace torchfleet::gateway
