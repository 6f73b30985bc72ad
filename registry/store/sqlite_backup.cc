#include "registry/store/sqlite_backup.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/ids.h"
#include "base/status.h"
#include "registry/store/sqlite_connection.h"
#include "registry/store/sqlite_schema.h"

namespace torchfleet::registry {
namespace {

namespace fs = std::filesystem;

// More than anybody wrote, or started, since a backup was made.
constexpr int64_t kRevisionsAhead = int64_t{1} << 20;
constexpr int64_t kPositionsAhead = int64_t{1024} << 32;

absl::Status About(const absl::Status& status, const std::string& path) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("'", path, "': ", status.message()));
}

// A checked copy of the catalogue in `from`, as it is at one moment.
absl::Status Copy(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(SqliteConnection source, SqliteConnection::Open(from, false));
  source.KeepLogFiles();
  RETURN_IF_ERROR(CheckSqliteCatalogue(source));
  const std::string quoted = absl::StrReplaceAll(to, {{"'", "''"}});
  RETURN_IF_ERROR(source.Run(absl::StrCat("VACUUM INTO '", quoted, "'")));
  ASSIGN_OR_RETURN(SqliteConnection copy, SqliteConnection::Open(to, false));
  return CheckSqliteCatalogue(copy);
}

absl::Status SkipRevisions(const std::string& path) {
  ASSIGN_OR_RETURN(SqliteConnection connection, SqliteConnection::Open(path, false));
  return connection.Run(absl::StrCat("UPDATE state SET revision = revision + ", kRevisionsAhead,
                                     ", reserved = reserved + ", kPositionsAhead));
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::Status(absl::ErrnoToStatusCode(errno),
                      absl::StrCat("cannot move '", from, "': ", std::strerror(errno)));
}

// Keeps what is at `path` under another name. Its lock is held meanwhile, where
// it still is a database that can be locked.
absl::Status MoveAside(const std::string& path) {
  auto old = SqliteConnection::Open(path, false);
  if (old.ok()) {
    old->KeepLogFiles();
    if (absl::IsFailedPrecondition(old->Run("BEGIN IMMEDIATE"))) {
      return absl::FailedPreconditionError(
          absl::StrCat("'", path, "' is held by a registry; stop it first"));
    }
  }
  const std::string aside = absl::StrCat(path, ".before-restore");
  unlink(absl::StrCat(aside, "-shm").c_str());
  unlink(absl::StrCat(aside, "-wal").c_str());
  RETURN_IF_ERROR(Rename(path, aside));
  // The log would else be replayed into the file that takes its place.
  RETURN_IF_ERROR(Rename(absl::StrCat(path, "-wal"), absl::StrCat(aside, "-wal")));
  return Rename(absl::StrCat(path, "-shm"), absl::StrCat(aside, "-shm"));
}

}  // namespace

absl::Status BackUpSqlite(const std::string& from, const std::string& to) {
  const std::string temporary = absl::StrCat(to, ".", RandomId());
  absl::Status status = About(Copy(from, temporary), from);
  if (status.ok()) status = NameFile(temporary, to);
  unlink(temporary.c_str());
  return status;
}

absl::Status RestoreSqlite(const std::string& backup, const std::string& path, bool force) {
  std::error_code error;
  if (!force && fs::exists(path, error)) {
    return absl::AlreadyExistsError(absl::StrCat(
        "'", path, "' is there already; --force moves it to '", path, ".before-restore'"));
  }
  const std::string temporary = absl::StrCat(path, ".", RandomId());
  absl::Status status = About(Copy(backup, temporary), backup);
  if (status.ok()) status = SkipRevisions(temporary);
  if (status.ok()) status = MoveAside(path);
  if (status.ok()) status = NameFile(temporary, path);
  unlink(temporary.c_str());
  return status;
}

}  // namespace torchfleet::registry
