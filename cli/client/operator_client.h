#pragma once
// Asks gateways at their operators' ports, over HTTP.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace torchfleet::cli {

// Where they are: those named, host:port with commas between, or those of the fleet
// that runs here; UNAVAILABLE without either.
absl::StatusOr<std::vector<std::string>> GatewayOperators(const std::string& named);

// What one said.
struct OperatorReply {
  std::string address;
  // UNAVAILABLE where nobody answers; of an answer that is none of 200, its own words,
  // NOT_FOUND for 404.
  absl::StatusOr<std::string> body;
};

// Asks all of them at once, and returns their replies in the same order.
std::vector<OperatorReply> AskOperators(const std::vector<std::string>& addresses,
                                        std::string_view method, const std::string& path,
                                        absl::Duration timeout);

}  // namespace torchfleet::cli
