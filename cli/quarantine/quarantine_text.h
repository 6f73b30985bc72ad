#pragma once
// What gateways have in quarantine, put together: for people and for programs. Pure.
//
// Of each gateway its page /quarantine is read (gateway/metrics/quarantine_page.h).

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"

namespace torchfleet::cli {

struct QuarantinedRequest {
  std::string model;
  // Since the first worker died of it, at the gateway where that was longest ago.
  int64_t age_seconds = 0;
  // Calls, of all gateways.
  uint64_t refused = 0;
  // Addresses of those that died.
  std::set<std::string> workers = {};
  int gateways = 0;
};

// By fingerprint.
using QuarantinedRequests = std::map<std::string, QuarantinedRequest>;

// 16 hexadecimal digits.
bool IsFingerprint(const std::string& text);

// Adds what the gateway at `address` said; INTERNAL for what is no such page.
absl::Status AddQuarantinePage(const std::string& address, const std::string& page,
                               QuarantinedRequests& requests);

std::string QuarantineAsTable(const QuarantinedRequests& requests);
// {"quarantine":[{fingerprint,model,age_seconds,refused,workers,gateways}]}
std::string QuarantineAsJson(const QuarantinedRequests& requests);

}  // namespace torchfleet::cli
