#pragma once
// What is told of one call when it has ended. A value; the strings keep their
// room from call to call.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gateway/record/call_ids.h"

namespace torchfleet::gateway {

struct CallRecord {
  // "grpc", "grpc-web" or "rest".
  std::string_view protocol = "grpc";
  // gRPC's method, or verb and path.
  std::string method;
  std::string model;
  std::string version;
  CallIds ids;
  absl::StatusCode code = absl::StatusCode::kOk;
  // Zero where HTTP has no word in it.
  int http_status = 0;
  absl::Duration duration;
  uint64_t bytes_in = 0, bytes_out = 0;
  // Workers that were tried.
  int attempts = 0;

  void Clear() {
    protocol = "grpc";
    method.clear();
    model.clear();
    version.clear();
    code = absl::StatusCode::kOk;
    http_status = attempts = 0;
    bytes_in = bytes_out = 0;
  }
};

}  // namespace torchfleet::gateway
