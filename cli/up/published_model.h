#pragma once
// A repository's models as the catalogue writes them.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::cli {

// The model with these versions, each with the digests of its files. A file that
// `known` lists with the same size, and that has not been written since that was
// said, is not read again. NOT_FOUND when a file is gone meanwhile.
absl::StatusOr<registry::v1::Model> FoundModel(const std::filesystem::path& repository,
                                               const std::string& name,
                                               const std::vector<int64_t>& versions,
                                               const registry::v1::Model& known);

// What to store so that the catalogue says what was found: `known` with those
// versions, and `replicas` unless that is 0; nothing when it says so already.
// Labels of versions that are still there stay. Aliases of versions that are gone
// go. Pure.
std::optional<registry::v1::Model> BroughtUpToDate(const registry::v1::Model& known,
                                                   const registry::v1::Model& found, int replicas);

}  // namespace torchfleet::cli
