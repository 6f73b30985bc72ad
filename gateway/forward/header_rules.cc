#include "gateway/forward/header_rules.h"

#include <algorithm>
#include <array>

#include "gateway/forward/pushback.h"
#include "wire/caller.h"
#include "wire/load_report.h"

namespace torchfleet::gateway {
namespace {

constexpr std::array<std::string_view, 11> kOfOneHop = {"content-type",
                                                        "user-agent",
                                                        "te",
                                                        "host",
                                                        "date",
                                                        "server",
                                                        "content-length",
                                                        "trailer",
                                                        wire::kCallerHeader,
                                                        wire::kRouteHeader,
                                                        wire::kLoadHeader};

}  // namespace

bool Travels(std::string_view name) {
  if (name.empty() || name.front() == ':') return false;
  if (name.substr(0, 5) == "grpc-" && name != kPushbackHeader) return false;
  return std::find(kOfOneHop.begin(), kOfOneHop.end(), name) == kOfOneHop.end();
}

void AddTravelling(const net::Headers& from, net::Headers& to) {
  for (const auto [name, value] : from) {
    if (Travels(name) && name != "traceparent" && name != "x-request-id") to.Add(name, value);
  }
}

}  // namespace torchfleet::gateway
