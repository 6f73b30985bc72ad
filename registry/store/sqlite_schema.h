#pragma once
// How the catalogue lies in an SQLite file, and whether a file holds one that
// is whole.
//
//   items  key, value, created, modified, and a checksum of these: SQLite's own
//          check finds no byte that has changed within a value
//   state  one row: the catalogue's revision, the end of the positions that
//          lives have reserved, and when the file was made (seconds since 1970)

#include <cstdint>
#include <string>
#include <string_view>

#include "registry/store/sqlite_connection.h"

namespace torchfleet::registry {

// Makes an empty catalogue, whole or not at all. ALREADY_EXISTS when there is
// something at `path`.
absl::Status MakeSqliteCatalogue(const std::string& path);

// FAILED_PRECONDITION for another program's file or a newer version's,
// DATA_LOSS for a damaged one.
absl::Status CheckSqliteCatalogue(SqliteConnection& connection);

int64_t ItemChecksum(std::string_view key, std::string_view value, int64_t created,
                     int64_t modified);

// Gives the synced file at `temporary` the name `path`, durably; what is at
// `path` already is left alone and ALREADY_EXISTS.
absl::Status NameFile(const std::string& temporary, const std::string& path);

}  // namespace torchfleet::registry
