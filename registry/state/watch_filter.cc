#include "registry/state/watch_filter.h"

#include <fmt/format.h>

#include "base/status.h"

namespace torchfleet::registry {
namespace {

constexpr int kMostNames = 1000;
constexpr size_t kLongestName = 256;

}  // namespace

absl::StatusOr<WatchFilter> WatchFilter::Of(const v1::WatchRequest& request) {
  if (request.models_size() > kMostNames) {
    return WithBadField(
        absl::InvalidArgumentError(fmt::format("models has {} names; expected at most {}, or none "
                                               "for all models",
                                               request.models_size(), kMostNames)),
        "models");
  }
  WatchFilter filter;
  for (const std::string& name : request.models()) {
    if (name.empty() || name.size() > kLongestName) {
      return WithBadField(
          absl::InvalidArgumentError(fmt::format("models holds a name of {} bytes; expected 1 to "
                                                 "{}",
                                                 name.size(), kLongestName)),
          "models");
    }
    filter.names_.insert(name);
  }
  return filter;
}

}  // namespace torchfleet::registry
