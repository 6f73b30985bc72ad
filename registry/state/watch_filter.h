#pragma once
// Which models a watcher asks for: some by name, or all. Pure.

#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

class WatchFilter {
 public:
  // All models.
  WatchFilter() = default;
  // INVALID_ARGUMENT for more names, or longer ones, than anybody needs.
  static absl::StatusOr<WatchFilter> Of(const v1::WatchRequest& request);

  bool all() const { return names_.empty(); }
  bool Matches(std::string_view model) const { return all() || names_.contains(model); }

  friend auto operator<=>(const WatchFilter&, const WatchFilter&) = default;

 private:
  std::set<std::string, std::less<>> names_;
};

}  // namespace torchfleet::registry
