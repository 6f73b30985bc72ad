#pragma once
// Copies of an SQLite catalogue, and putting one back.

#include <string>

#include "absl/status/status.h"

namespace torchfleet::registry {

// A whole copy of the catalogue at `from` in a new file, while a registry may
// be writing to it. ALREADY_EXISTS when there is something at `to`.
absl::Status BackUpSqlite(const std::string& from, const std::string& to);

// Puts a checked copy of the backup in the place of the catalogue at `path`; no
// revision that its followers may have seen is given again. What was there is
// kept beside it as <path>.before-restore. ALREADY_EXISTS when something is
// there and not `force`; FAILED_PRECONDITION while a registry holds it.
absl::Status RestoreSqlite(const std::string& backup, const std::string& path, bool force);

}  // namespace torchfleet::registry
