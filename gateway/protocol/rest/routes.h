#pragma once
// What a REST call asks for, from its method and path.
//
// Pure functions; thread-safe.

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace torchfleet::gateway::rest {

enum class Action {
  kServerMetadata,
  kServerLive,
  kServerReady,
  kModelMetadata,
  kModelReady,
  kModelConfig,
  // Of all models when the route names none.
  kModelStatistics,
  kInfer,
  kGenerate,
  kGenerateStream,
  kRepositoryIndex,
  kModelLoad,
  kModelUnload,
  // TensorFlow Serving's.
  kV1Status,
  kV1Metadata,
  kV1Predict,
  // Of the default model when the route names none.
  kPlainPredict,
  kOpenApi,
  // OPTIONS on any of the paths.
  kOptions,
};

enum class Verb { kGet, kPost };

// One row of the table of paths: "v1/models/{m}/versions/{v}/:predict", where a
// colon begins a segment.
struct RoutePattern {
  Verb verb;
  Action action;
  std::string_view path;
};

std::span<const RoutePattern> RoutePatterns();

struct RestRoute {
  Action action = Action::kOptions;
  // Decoded and checked as RoutePolicy::CheckName does; empty where the path
  // has none.
  std::string model;
  std::string version;
};

struct RouteMatch {
  // 200; or 404, 405 or 400 with `error`.
  int code = 200;
  absl::Status error;
  // For 200.
  RestRoute route;
  // Value of the header Allow, for every path that is one: "GET, HEAD, OPTIONS".
  std::string_view allow;
};

// `target` is the request's target: a path with or without a query, or a whole
// URL as proxies send it. HEAD is taken as GET. One slash at the end is ignored.
// A name or version that cannot be one is 400, also when the verb is wrong.
RouteMatch MatchRoute(std::string_view method, std::string_view target);

}  // namespace torchfleet::gateway::rest
