#pragma once
// What a gateway tells a worker of a call that it passes on.

#include <string_view>
#include <utility>

namespace torchfleet::wire {

// Whose it is: any text, the same for all calls of one caller. Workers share
// themselves out among callers by it.
inline constexpr char kCallerHeader[] = "torchfleet-caller";
// MODEL/VERSION that a rule chose for it, where the request names others: an alias,
// or a model that stands for this one.
inline constexpr char kRouteHeader[] = "torchfleet-route";

// A kRouteHeader's model and version.
constexpr std::pair<std::string_view, std::string_view> ParseRoute(std::string_view route) {
  const size_t slash = route.rfind('/');
  if (slash == std::string_view::npos) return {route, ""};
  return {route.substr(0, slash), route.substr(slash + 1)};
}

}  // namespace torchfleet::wire
