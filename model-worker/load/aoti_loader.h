#pragma once
// Loads AOTInductor packages (.pt2).
//
// The compiled library is unpacked into a folder of its own beneath the system's
// temporary folder, which is removed again as soon as the library is mapped:
// torch's own package loader keeps its folder as long as the model, and leaves
// it behind when the process is killed. It also compiles sources that a package
// holds; this does not.

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/load/archive_directory.h"
#include "model-worker/load/model_file.h"

namespace torchfleet::worker {

// `entries` as they were checked. FAILED_PRECONDITION when the package is none,
// was made for another machine or torch, or does not take the spec's inputs;
// RESOURCE_EXHAUSTED when there is no room to unpack it. Messages do not name
// the file.
absl::StatusOr<std::unique_ptr<Model>> LoadAotiPackage(const ModelFile& file,
                                                       const std::vector<ArchiveEntry>& entries,
                                                       const ModelSpec& spec);

}  // namespace torchfleet::worker
