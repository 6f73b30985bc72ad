#include "base/grpc_server.h"

#include <catch2/catch_test_macros.hpp>
#include <memory>

namespace torchfleet {
namespace {

TEST_CASE("GrpcServer: takes a free port and says which", "[base][grpc]") {
  auto server = GrpcServer::Start("127.0.0.1:0", {});
  REQUIRE(server.ok());
  CHECK((*server)->address().substr(0, 10) == "127.0.0.1:");
  CHECK((*server)->address() != "127.0.0.1:0");
}

TEST_CASE("GrpcServer: never shares a port, and refuses what is no address", "[base][grpc]") {
  auto server = GrpcServer::Start("127.0.0.1:0", {});
  REQUIRE(server.ok());
  CHECK(GrpcServer::Start((*server)->address(), {}).status().code() ==
        absl::StatusCode::kUnavailable);
  for (const char* listen : {"", "8001", ":8001"}) {
    CHECK(GrpcServer::Start(listen, {}).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace torchfleet
