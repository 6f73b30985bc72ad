#include "gateway/protocol/web/web_fields.h"

#include <algorithm>
#include <array>

#include "gateway/forward/header_rules.h"

namespace torchfleet::gateway {
namespace {

constexpr std::array<std::string_view, 17> kOfTheClient = {"cache-control",
                                                           "connection",
                                                           "cookie",
                                                           "dnt",
                                                           "expect",
                                                           "forwarded",
                                                           "keep-alive",
                                                           "origin",
                                                           "pragma",
                                                           "priority",
                                                           "referer",
                                                           "upgrade",
                                                           "via",
                                                           "x-grpc-web",
                                                           "x-user-agent",
                                                           "transfer-encoding",
                                                           "inference-header-content-length"};

bool TravelsFromWeb(std::string_view name) {
  for (const std::string_view prefix : {"accept", "sec-", "content-", "access-control-"}) {
    if (name.starts_with(prefix)) return false;
  }
  if (name == "traceparent" || name == "x-request-id") return false;  // CallIds adds them
  return std::find(kOfTheClient.begin(), kOfTheClient.end(), name) == kOfTheClient.end();
}

}  // namespace

void AddTravellingFromWeb(const net::Headers& from, net::Headers& to) {
  for (const auto [name, value] : from) {
    if (Travels(name) && TravelsFromWeb(name)) to.Add(name, value);
  }
}

}  // namespace torchfleet::gateway
