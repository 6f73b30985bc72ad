#pragma once
// Puts a new version of a model into a repository so that nobody ever sees half
// of it: written to a hidden folder beside it, synced, then renamed.

#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "inference/model_config.pb.h"
#include "repository/layout.h"

namespace torchfleet::repository {

// `write` fills the folder it is given with the version's files (model.pt and
// what belongs to it). On success the version is one higher than the highest
// there, and config.pbtxt is `config` (replaced atomically, before the version
// appears). On failure nothing is left behind. INVALID_ARGUMENT for a name that
// is none, FAILED_PRECONDITION when `write` left no model file,
// RESOURCE_EXHAUSTED when the disk is full, and whatever `write` says.
absl::StatusOr<ModelVersion> Publish(
    const std::filesystem::path& root, const inference::ModelConfig& config,
    const std::function<absl::Status(const std::filesystem::path& folder)>& write);

}  // namespace torchfleet::repository
