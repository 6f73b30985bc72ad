#include "net/grpc/status.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::net {
namespace {

TEST_CASE("GrpcStatus: what is written is read", "[net][grpc]") {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  for (const GrpcStatus& status :
       {GrpcStatus{}, GrpcStatus{absl::StatusCode::kNotFound, "no such model: 100 %"},
        GrpcStatus{absl::StatusCode::kInternal, all_bytes, all_bytes}}) {
    Headers trailers;
    AddGrpcStatus(status, trailers);
    for (const auto [name, value] : trailers) {
      for (const char c : value) REQUIRE((c >= 0x20 && c <= 0x7e));
    }
    const GrpcStatus read = ReadGrpcStatus(trailers, "200");
    CHECK(read.code == status.code);
    CHECK(read.message == status.message);
    CHECK(read.details == status.details);
  }
}

TEST_CASE("GrpcStatus: messages are percent-encoded", "[net][grpc]") {
  Headers trailers;
  AddGrpcStatus({absl::StatusCode::kAborted, "a%b\nä"}, trailers);
  CHECK(trailers.ValueOr("grpc-status", "") == "10");
  CHECK(trailers.ValueOr("grpc-message", "") == "a%25b%0A%C3%A4");
  trailers.Clear();
  AddGrpcStatus({.code = absl::StatusCode::kInternal, .message = " a b ", .details = ""}, trailers);
  CHECK(trailers.ValueOr("grpc-message", "") == "%20a b%20");
  CHECK(ReadGrpcStatus(trailers, "200").message == " a b ");
}

TEST_CASE("GrpcStatus: an answer without one means what HTTP's code does", "[net][grpc]") {
  struct Row {
    const char* http;
    absl::StatusCode code;
  };
  const Row rows[] = {
      {"400", absl::StatusCode::kInternal},         {"401", absl::StatusCode::kUnauthenticated},
      {"403", absl::StatusCode::kPermissionDenied}, {"404", absl::StatusCode::kUnimplemented},
      {"429", absl::StatusCode::kUnavailable},      {"502", absl::StatusCode::kUnavailable},
      {"503", absl::StatusCode::kUnavailable},      {"504", absl::StatusCode::kUnavailable},
      {"500", absl::StatusCode::kUnknown},          {"200", absl::StatusCode::kUnknown}};
  for (const Row& row : rows) {
    CAPTURE(row.http);
    CHECK(ReadGrpcStatus({}, row.http).code == row.code);
  }
}

TEST_CASE("GrpcStatus: what cannot be read is UNKNOWN", "[net][grpc]") {
  for (const char* text : {"", "x", "17", "-1", "1x", "99999999999999999999"}) {
    CAPTURE(text);
    Headers trailers;
    trailers.Add("grpc-status", text);
    trailers.Add("grpc-message", "half %4 and %zz");
    trailers.Add("grpc-status-details-bin", "!!!");
    const GrpcStatus status = ReadGrpcStatus(trailers, "200");
    CHECK(status.code == absl::StatusCode::kUnknown);
    CHECK(status.message == "half %4 and %zz");
    CHECK(status.details.empty());
  }
}

TEST_CASE("grpc-timeout: every unit, and what is none", "[net][grpc]") {
  CHECK(ParseGrpcTimeout("1n") == absl::Nanoseconds(1));
  CHECK(ParseGrpcTimeout("20u") == absl::Microseconds(20));
  CHECK(ParseGrpcTimeout("300m") == absl::Milliseconds(300));
  CHECK(ParseGrpcTimeout("4S") == absl::Seconds(4));
  CHECK(ParseGrpcTimeout("5M") == absl::Minutes(5));
  CHECK(ParseGrpcTimeout("99999999H") == 99999999 * absl::Hours(1));
  CHECK(ParseGrpcTimeout("0m") == absl::ZeroDuration());
  for (const char* text :
       {"", "m", "1", "1s", "-1m", "+1m", " 1m", "1 m", "1.5S", "123456789m", "0x1m"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseGrpcTimeout(text));
  }
}

TEST_CASE("grpc-timeout: is written in the finest unit that fits", "[net][grpc]") {
  CHECK(FormatGrpcTimeout(absl::Nanoseconds(99999999)) == "99999999n");
  CHECK(FormatGrpcTimeout(absl::Nanoseconds(100000000)) == "100000u");
  CHECK(FormatGrpcTimeout(absl::Seconds(30)) == "30000000u");
  CHECK(FormatGrpcTimeout(absl::Hours(24)) == "86400000m");
  CHECK(FormatGrpcTimeout(-absl::Seconds(1)) == "1n");
  CHECK(FormatGrpcTimeout(absl::InfiniteDuration()) == "99999999H");
  for (const absl::Duration d : {absl::Microseconds(7), absl::Milliseconds(1500), absl::Hours(3)}) {
    CHECK(ParseGrpcTimeout(FormatGrpcTimeout(d)) == d);
  }
}

TEST_CASE("Base64: with and without padding", "[net][grpc]") {
  CHECK(EncodeBase64("ab") == "YWI=");
  CHECK(DecodeBase64("YWI=") == "ab");
  CHECK(DecodeBase64("YWI") == "ab");
  CHECK_FALSE(DecodeBase64("Y!"));
}

}  // namespace
}  // namespace torchfleet::net
