#pragma once
// Which key holds what in the registry's store. Pure.
//
// Catalogue:
//   models/<name>     Model, as stored
//   routes/<model>    Route, as stored
//   changes/<id>      Change; its place in the order is `created`, then the key,
//                     which begins with the time
//   guards/routes     the model whose route was set last: what a change of the
//                     catalogue makes sure of that no route may come to name
// Live, on the worker's lease unless said otherwise:
//   workers/<id>      Worker; `modified` is the registration's epoch
//   conditions/<id>   Condition, without its load
//   loads/<id>        Load
//   drains/<id>       DrainRequest that this worker shall heed
//   left/<id>         why it left the last time, as text; on a lease of its own

#include <string>
#include <string_view>

namespace torchfleet::registry {

inline constexpr std::string_view kModels = "models/";
inline constexpr std::string_view kRoutes = "routes/";
inline constexpr std::string_view kChanges = "changes/";
inline constexpr std::string_view kRoutesGuard = "guards/routes";
inline constexpr std::string_view kWorkers = "workers/";
inline constexpr std::string_view kConditions = "conditions/";
inline constexpr std::string_view kLoads = "loads/";
inline constexpr std::string_view kDrains = "drains/";
inline constexpr std::string_view kLeft = "left/";

inline std::string Key(std::string_view kind, std::string_view name) {
  return std::string(kind).append(name);
}

// The name of a key of that kind; nothing of another kind.
inline bool KeyIs(std::string_view kind, std::string_view key) { return key.starts_with(kind); }
inline std::string_view NameOf(std::string_view kind, std::string_view key) {
  return key.substr(kind.size());
}

}  // namespace torchfleet::registry
