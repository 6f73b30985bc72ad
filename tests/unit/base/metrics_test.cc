#include "base/metrics.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet {
namespace {

TEST_CASE("OperatorServer: takes a free port, and never one that is taken", "[base][metrics]") {
  auto server = OperatorServer::Start("127.0.0.1:0");
  REQUIRE(server.ok());
  CHECK((*server)->address() != "127.0.0.1:0");
  CHECK(OperatorServer::Start((*server)->address()).status().code() ==
        absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace torchfleet
