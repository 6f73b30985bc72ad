#include "gateway/protocol/web/cross_origin.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status.h"

namespace torchfleet::gateway {
namespace {

// What a page may read beside the body.
constexpr std::string_view kExposed =
    "grpc-status, grpc-message, grpc-status-details-bin, inference-header-content-length, "
    "retry-after, x-request-id";

// The origin without its scheme; empty when it has none that browsers call from.
std::string_view HostOf(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return origin.substr(scheme.size());
  }
  return {};
}

bool IsLoopback(std::string_view origin) {
  const std::string_view host = HostOf(origin);
  for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
    if (host.starts_with(name) && (host.size() == name.size() || host[name.size()] == ':')) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::Status CrossOrigin::Check(const std::vector<std::string>& allowed) {
  for (const std::string& origin : allowed) {
    const std::string_view host = HostOf(origin);
    if (origin != "*" && (host.empty() || host.find('/') != host.npos)) {
      return absl::InvalidArgumentError(fmt::format(
          "the allowed origin is '{}'; expected one like https://example.org, or *", Clip(origin)));
    }
  }
  return absl::OkStatus();
}

bool CrossOrigin::IsPreflight(const net::Headers& request) {
  return request.ValueOr(":method", "") == "OPTIONS" && request.Find("origin") &&
         request.Find("access-control-request-method");
}

bool CrossOrigin::Allows(std::string_view origin) const {
  return IsLoopback(origin) || std::any_of(allowed_.begin(), allowed_.end(), [&](const auto& one) {
           return one == "*" || one == origin;
         });
}

void CrossOrigin::AddTo(const net::Headers& request, net::Headers& answer) const {
  const auto origin = request.Find("origin");
  if (!origin) return;
  answer.Add("vary", "origin");
  if (!Allows(*origin)) return;
  answer.Add("access-control-allow-origin", *origin);
  answer.Add("access-control-expose-headers", kExposed);
}

void CrossOrigin::AnswerPreflight(const net::Headers& request, net::Headers& answer) const {
  answer.Clear();
  answer.Add(":status", "204");
  answer.Add("vary", "origin, access-control-request-method, access-control-request-headers");
  const std::string_view origin = request.ValueOr("origin", "");
  if (!Allows(origin)) return;
  answer.Add("access-control-allow-origin", origin);
  answer.Add("access-control-allow-methods", "GET, HEAD, POST, OPTIONS");
  if (const auto wanted = request.Find("access-control-request-headers")) {
    answer.Add("access-control-allow-headers", *wanted);
  }
  answer.Add("access-control-max-age", "7200");
}

}  // namespace torchfleet::gateway
