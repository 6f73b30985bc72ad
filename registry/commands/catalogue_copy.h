#pragma once
// Copies the catalogue of one store into another, audit trail and all.
//
// What was committed together is committed together again, in the same order, so
// that a change still is at its model's revision. The revisions themselves are
// the target's.

#include <cstdint>

#include "absl/status/statusor.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

struct CopiedCatalogue {
  uint64_t models = 0;
  uint64_t routes = 0;
  uint64_t changes = 0;
};

// Returns when all of it is in `to` and was read back from there.
// FAILED_PRECONDITION when `to` has a catalogue, unless it is to be replaced;
// ABORTED when somebody else writes there meanwhile; else the stores' errors, and
// then a part may have been copied. Blocks.
absl::StatusOr<CopiedCatalogue> CopyCatalogue(Store& from, Store& to, bool replace);

}  // namespace torchfleet::registry
