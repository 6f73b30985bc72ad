#include "registry/store/sqlite_schema.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/ids.h"
#include "base/status.h"

namespace torchfleet::registry {
namespace {

// "tfrg": that the file is ours.
constexpr int64_t kApplicationId = 0x74667267;
constexpr int64_t kVersion = 1;

absl::Status FillNewFile(const std::string& path) {
  ASSIGN_OR_RETURN(SqliteConnection connection, SqliteConnection::Open(path, true));
  RETURN_IF_ERROR(connection.Run("PRAGMA synchronous = FULL"));
  RETURN_IF_ERROR(connection.Run("BEGIN IMMEDIATE"));
  RETURN_IF_ERROR(connection.Run(
      "CREATE TABLE items (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, "
      "created INTEGER NOT NULL, modified INTEGER NOT NULL, checksum INTEGER NOT NULL)"));
  RETURN_IF_ERROR(
      connection.Run("CREATE TABLE state (revision INTEGER NOT NULL, reserved INTEGER NOT NULL, "
                     "made INTEGER NOT NULL)"));
  RETURN_IF_ERROR(connection.Run(
      absl::StrCat("INSERT INTO state VALUES (0, 0, ", absl::ToUnixSeconds(absl::Now()), ")")));
  RETURN_IF_ERROR(connection.Run(absl::StrCat("PRAGMA application_id = ", kApplicationId)));
  RETURN_IF_ERROR(connection.Run(absl::StrCat("PRAGMA user_version = ", kVersion)));
  return connection.Run("COMMIT");
}

absl::Status Errno(std::string_view what, const std::string& path) {
  const int error = errno;
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat(std::string(what), " '", path, "': ", std::strerror(error)));
}

absl::Status Sync(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return Errno("cannot open", path);
  const bool synced = fsync(fd) == 0;
  const absl::Status status = synced ? absl::OkStatus() : Errno("cannot sync", path);
  close(fd);
  return status;
}

absl::Status CheckItems(SqliteConnection& connection) {
  ASSIGN_OR_RETURN(const int64_t revision, connection.Number("SELECT revision FROM state"));
  ASSIGN_OR_RETURN(SqliteStatement rows,
                   connection.Prepare("SELECT key, value, created, modified, checksum FROM items"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    const std::string key = rows.Bytes(0);
    const int64_t modified = rows.Number(3);
    if (ItemChecksum(key, rows.Bytes(1), rows.Number(2), modified) != rows.Number(4)) {
      return absl::DataLossError(absl::StrCat("the item '", Clip(key), "' is not as written"));
    }
    if (modified > revision) {
      return absl::DataLossError(absl::StrCat("the item '", Clip(key), "' has revision ", modified,
                                              ", the catalogue only ", revision));
    }
  }
}

}  // namespace

absl::Status MakeSqliteCatalogue(const std::string& path) {
  const std::string temporary = absl::StrCat(path, ".", RandomId());
  absl::Status status = FillNewFile(temporary);
  if (status.ok()) status = NameFile(temporary, path);
  unlink(temporary.c_str());
  return status;
}

absl::Status NameFile(const std::string& temporary, const std::string& path) {
  RETURN_IF_ERROR(Sync(temporary, O_RDWR));
  // A link, as a rename would put it in the place of another.
  if (link(temporary.c_str(), path.c_str()) != 0) return Errno("cannot make", path);
  unlink(temporary.c_str());
  const std::string folder = std::filesystem::path(path).parent_path();
  return Sync(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

absl::Status CheckSqliteCatalogue(SqliteConnection& connection) {
  ASSIGN_OR_RETURN(const int64_t application, connection.Number("PRAGMA application_id"));
  if (application != kApplicationId) {
    return absl::FailedPreconditionError("it is a database of another program");
  }
  ASSIGN_OR_RETURN(const int64_t version, connection.Number("PRAGMA user_version"));
  if (version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("its schema has version ", version, "; expected ", kVersion,
                     ": take the torchfleet-registry that wrote it"));
  }
  ASSIGN_OR_RETURN(const std::string found, connection.Text("PRAGMA integrity_check(1)"));
  if (found != "ok") return absl::DataLossError(found);
  return CheckItems(connection);
}

int64_t ItemChecksum(std::string_view key, std::string_view value, int64_t created,
                     int64_t modified) {
  const std::string numbers = absl::StrCat(key.size(), " ", created, " ", modified);
  uLong sum = crc32(0, nullptr, 0);
  for (const std::string_view part : {std::string_view(numbers), key, value}) {
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(part.data()), part.size());
  }
  return static_cast<int64_t>(sum);
}

}  // namespace torchfleet::registry
