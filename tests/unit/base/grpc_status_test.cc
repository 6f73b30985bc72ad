#include "base/grpc_status.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace torchfleet {
namespace {

TEST_CASE("ToGrpc and FromGrpc: code, message and details survive both ways", "[base][grpc]") {
  CHECK(ToGrpc(absl::OkStatus()).ok());
  CHECK(FromGrpc(grpc::Status::OK).ok());
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "text");
    CHECK(FromGrpc(ToGrpc(status)) == status);
  }
  const absl::Status detailed = WithRetryDelay(
      WithBadField(absl::InvalidArgumentError("wrong"), "inputs[x]"), absl::Milliseconds(2500));
  const absl::Status back = FromGrpc(ToGrpc(detailed));
  CHECK(back.message() == "wrong");
  CHECK(BadField(back) == "inputs[x]");
  CHECK(RetryDelay(back) == absl::Milliseconds(2500));
}

TEST_CASE("ToGrpc: details are google.rpc's, as other languages read them", "[base][grpc]") {
  const grpc::Status status =
      ToGrpc(WithBadField(absl::InvalidArgumentError("shape is [2]"), "inputs[x].shape"));
  google::rpc::Status details;
  REQUIRE(details.ParseFromString(status.error_details()));
  CHECK(details.code() == 3);
  REQUIRE(details.details_size() == 1);
  CHECK(details.details(0).type_url() == "type.googleapis.com/google.rpc.BadRequest");
  google::rpc::BadRequest bad_request;
  REQUIRE(details.details(0).UnpackTo(&bad_request));
  CHECK(bad_request.field_violations(0).field() == "inputs[x].shape");
  CHECK(bad_request.field_violations(0).description() == "shape is [2]");
}

TEST_CASE("ToGrpc: messages are cut", "[base][grpc]") {
  CHECK(ToGrpc(absl::InternalError(std::string(5000, 'x'))).error_message().size() <=
        kMaxErrorText);
}

TEST_CASE("FromGrpc: details that are no message are left out", "[base][grpc]") {
  const absl::Status status =
      FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy", "\xFF\xFF"));
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(RetryDelay(status).has_value());
}

}  // namespace
}  // namespace torchfleet
