#include "gateway/protocol/rest/routes.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <span>

#include "absl/container/inlined_vector.h"
#include "absl/strings/ascii.h"
#include "base/status.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway::rest {
namespace {

constexpr std::string_view kModel = "{m}";
constexpr std::string_view kVersion = "{v}";
// "/v2/repository/models/{m}/unload" and "/v2/models/{m}/versions/{v}/infer".
constexpr size_t kMaxSegments = 6;

// A fixed segment comes before a name in its place. A path is split
// at slashes; ":predict" is a segment of its own then.
constexpr RoutePattern kPatterns[] = {
    {Verb::kPost, Action::kInfer, "v2/models/{m}/infer"},
    {Verb::kPost, Action::kInfer, "v2/models/{m}/versions/{v}/infer"},
    {Verb::kPost, Action::kPlainPredict, "predict"},
    {Verb::kPost, Action::kPlainPredict, "models/{m}/predict"},
    {Verb::kPost, Action::kV1Predict, "v1/models/{m}/:predict"},
    {Verb::kPost, Action::kV1Predict, "v1/models/{m}/versions/{v}/:predict"},
    {Verb::kGet, Action::kServerMetadata, "v2"},
    {Verb::kGet, Action::kServerLive, "v2/health/live"},
    {Verb::kGet, Action::kServerReady, "v2/health/ready"},
    {Verb::kGet, Action::kModelStatistics, "v2/models/stats"},
    {Verb::kGet, Action::kModelMetadata, "v2/models/{m}"},
    {Verb::kGet, Action::kModelMetadata, "v2/models/{m}/versions/{v}"},
    {Verb::kGet, Action::kModelReady, "v2/models/{m}/ready"},
    {Verb::kGet, Action::kModelReady, "v2/models/{m}/versions/{v}/ready"},
    {Verb::kGet, Action::kModelConfig, "v2/models/{m}/config"},
    {Verb::kGet, Action::kModelConfig, "v2/models/{m}/versions/{v}/config"},
    {Verb::kGet, Action::kModelStatistics, "v2/models/{m}/stats"},
    {Verb::kGet, Action::kModelStatistics, "v2/models/{m}/versions/{v}/stats"},
    {Verb::kPost, Action::kGenerate, "v2/models/{m}/generate"},
    {Verb::kPost, Action::kGenerate, "v2/models/{m}/versions/{v}/generate"},
    {Verb::kPost, Action::kGenerateStream, "v2/models/{m}/generate_stream"},
    {Verb::kPost, Action::kGenerateStream, "v2/models/{m}/versions/{v}/generate_stream"},
    {Verb::kPost, Action::kRepositoryIndex, "v2/repository/index"},
    {Verb::kPost, Action::kModelLoad, "v2/repository/models/{m}/load"},
    {Verb::kPost, Action::kModelUnload, "v2/repository/models/{m}/unload"},
    {Verb::kGet, Action::kV1Status, "v1/models/{m}"},
    {Verb::kGet, Action::kV1Status, "v1/models/{m}/versions/{v}"},
    {Verb::kGet, Action::kV1Metadata, "v1/models/{m}/metadata"},
    {Verb::kGet, Action::kV1Metadata, "v1/models/{m}/versions/{v}/metadata"},
    {Verb::kGet, Action::kOpenApi, "openapi.json"},
};

using Segments = absl::InlinedVector<std::string_view, kMaxSegments>;

// The path alone, without the slash at its beginning and one at its end.
std::optional<std::string_view> PathOf(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (const size_t scheme = target.find("://"); scheme != target.npos && target[0] != '/') {
    const size_t path = target.find('/', scheme + 3);
    target = path == target.npos ? "/" : target.substr(path);
  }
  if (target.empty() || target.front() != '/') return std::nullopt;
  target.remove_prefix(1);
  if (target.ends_with('/')) target.remove_suffix(1);
  return target;
}

// Nothing for a path with more segments than any of ours has.
std::optional<Segments> Split(std::string_view path) {
  Segments segments;
  while (true) {
    if (segments.size() == kMaxSegments) return std::nullopt;
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == path.npos) break;
    path.remove_prefix(slash + 1);
  }
  // TensorFlow Serving puts the verb behind a colon.
  const std::string_view last = segments.back();
  const size_t colon = last.rfind(':');
  if (segments.front() != "v1" || colon == last.npos) return segments;
  if (segments.size() == kMaxSegments) return std::nullopt;
  segments.back() = last.substr(0, colon);
  segments.push_back(last.substr(colon));
  return segments;
}

struct Names {
  std::string_view model;
  std::string_view version;
};

std::optional<Names> Fit(std::string_view pattern, const Segments& segments) {
  Names names;
  for (const std::string_view& segment : segments) {
    const size_t slash = pattern.find('/');
    const std::string_view expected = pattern.substr(0, slash);
    if (expected == kModel) {
      names.model = segment;
    } else if (expected == kVersion) {
      names.version = segment;
    } else if (expected != segment) {
      return std::nullopt;
    }
    pattern.remove_prefix(slash == pattern.npos ? pattern.size() : slash + 1);
    if (pattern.empty() && &segment != &segments.back()) return std::nullopt;
  }
  return pattern.empty() ? std::optional(names) : std::nullopt;
}

// Nothing when a '%' is not followed by two hexadecimal digits.
std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string out;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = digit(text[i + 1]), low = digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

RouteMatch Failed(int code, absl::Status error, std::string_view allow = {}) {
  return {.code = code, .error = std::move(error), .route = {}, .allow = allow};
}

absl::Status ReadNames(const Names& names, std::string_view path, RestRoute& route) {
  auto model = PercentDecoded(names.model);
  auto version = PercentDecoded(names.version);
  if (!model || !version) {
    return absl::InvalidArgumentError(fmt::format(
        "the path is '/{}'; expected two hexadecimal digits after each '%'", Clip(path)));
  }
  // A path with an empty segment asks for a version, though not for which.
  if (names.version.data() != nullptr && version->empty()) {
    return absl::InvalidArgumentError(
        fmt::format("the path '/{}' names no version; expected a whole number", Clip(path)));
  }
  route.model = *std::move(model);
  route.version = *std::move(version);
  return RoutePolicy::CheckName(route.model, route.version);
}

}  // namespace

std::span<const RoutePattern> RoutePatterns() { return kPatterns; }

RouteMatch MatchRoute(std::string_view method, std::string_view target) {
  const auto path = PathOf(target);
  const auto segments = path ? Split(*path) : std::nullopt;
  const RoutePattern* pattern = nullptr;
  std::optional<Names> names;
  for (const RoutePattern& candidate : kPatterns) {
    if (!segments) break;
    names = Fit(candidate.path, *segments);
    if (!names) continue;
    pattern = &candidate;
    break;
  }
  if (pattern == nullptr) {
    return Failed(404, absl::NotFoundError(fmt::format(
                           "there is nothing at '{}'; /openapi.json tells what there is",
                           Clip(target.substr(0, target.find('?')), 128))));
  }
  const bool get = pattern->verb == Verb::kGet;
  RouteMatch match = {.code = 200,
                      .error = {},
                      .route = {.action = pattern->action, .model = {}, .version = {}},
                      .allow = get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"};
  if (names->model.data() != nullptr) {
    if (absl::Status error = ReadNames(*names, *path, match.route); !error.ok()) {
      return Failed(400, std::move(error), match.allow);
    }
  }
  if (method == "OPTIONS") {
    match.route.action = Action::kOptions;
  } else if (get ? method != "GET" && method != "HEAD" : method != "POST") {
    return Failed(405,
                  absl::UnimplementedError(fmt::format("'/{}' was called with {}; expected {}",
                                                       Clip(*path, 128), Clip(method, 16),
                                                       get ? "GET" : "POST")),
                  match.allow);
  }
  return match;
}

}  // namespace torchfleet::gateway::rest
