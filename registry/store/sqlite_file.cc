#include "registry/store/sqlite_file.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "registry/store/sqlite_schema.h"

namespace torchfleet::registry {
namespace {

// What the operator reads: which file, and what to do.
absl::Status AboutFile(const absl::Status& status, const std::string& path) {
  std::string text = absl::StrCat("the catalogue '", path, "': ", status.message());
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
      absl::StrAppend(&text,
                      "; it is damaged: put a backup in its place with "
                      "`torchfleet-registry restore --force --store sqlite:",
                      path, " BACKUP`");
      break;
    case absl::StatusCode::kResourceExhausted:
      absl::StrAppend(&text, "; make room on its disk");
      break;
    case absl::StatusCode::kPermissionDenied:
      absl::StrAppend(&text,
                      "; give this user the right to write the file and its folder, or "
                      "name another with --store sqlite:PATH");
      break;
    default:
      break;
  }
  return absl::Status(status.code(), text);
}

// A log without its file would be replayed into a new one.
absl::Status MakeIfMissing(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return absl::OkStatus();
  if (std::filesystem::exists(absl::StrCat(path, "-wal"), error)) {
    return absl::DataLossError("the file is gone, but its write-ahead log is there");
  }
  const absl::Status made = MakeSqliteCatalogue(path);
  return absl::IsAlreadyExists(made) ? absl::OkStatus() : made;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteFile>> SqliteFile::Open(const std::string& path) {
  const auto open = [&]() -> absl::StatusOr<std::unique_ptr<SqliteFile>> {
    RETURN_IF_ERROR(MakeIfMissing(path));
    ASSIGN_OR_RETURN(SqliteConnection connection, SqliteConnection::Open(path, false));
    if (connection.read_only()) return absl::PermissionDeniedError("it may only be read");
    std::unique_ptr<SqliteFile> file(new SqliteFile(std::move(connection)));
    RETURN_IF_ERROR(file->Prepare());
    return file;
  };
  auto file = open();
  if (!file.ok()) return AboutFile(file.status(), path);
  return file;
}

absl::Status SqliteFile::Prepare() {
  ASSIGN_OR_RETURN(const int64_t pages, connection_.Number("PRAGMA page_count"));
  // A new one gets its name only when it is filled.
  if (pages == 0) return absl::DataLossError("the file is empty");
  ASSIGN_OR_RETURN(const std::string mode, connection_.Text("PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return absl::FailedPreconditionError("its file system cannot share a write-ahead log");
  }
  // What the log occupies stays, so that a start finds room on a full disk.
  connection_.KeepLogFiles();
  RETURN_IF_ERROR(connection_.Run("PRAGMA synchronous = FULL"));
  if (const absl::Status begun = Begin(); absl::IsFailedPrecondition(begun)) {
    return absl::FailedPreconditionError(
        "another process holds it: one registry for one file; stop the other");
  } else if (!begun.ok()) {
    return begun;
  }
  RETURN_IF_ERROR(CheckSqliteCatalogue(connection_));
  ASSIGN_OR_RETURN(put_, connection_.Prepare(
                             "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO "
                             "UPDATE SET value = ?2, created = ?3, modified = ?4, checksum = ?5"));
  ASSIGN_OR_RETURN(remove_, connection_.Prepare("DELETE FROM items WHERE key = ?1"));
  ASSIGN_OR_RETURN(set_revision_, connection_.Prepare("UPDATE state SET revision = ?1"));
  ASSIGN_OR_RETURN(set_reserved_, connection_.Prepare("UPDATE state SET reserved = ?1"));
  return absl::OkStatus();
}

absl::Status SqliteFile::Begin() {
  RETURN_IF_ERROR(connection_.Run("BEGIN IMMEDIATE"));
  ASSIGN_OR_RETURN(const int64_t version, connection_.Number("PRAGMA data_version"));
  if (data_version_.value_or(version) != version) {
    (void)connection_.Run("ROLLBACK");
    return absl::UnavailableError(
        "another program has written to the catalogue's file; restart the registry");
  }
  data_version_ = version;
  return absl::OkStatus();
}

absl::StatusOr<SqliteFile::Contents> SqliteFile::Read() {
  Contents contents;
  ASSIGN_OR_RETURN(SqliteStatement state,
                   connection_.Prepare("SELECT revision, reserved, made FROM state"));
  ASSIGN_OR_RETURN(const bool there, state.Step());
  if (!there) return absl::DataLossError("the catalogue has no state");
  contents.revision = static_cast<uint64_t>(state.Number(0));
  contents.reserved = static_cast<uint64_t>(state.Number(1));
  contents.made = absl::FromUnixSeconds(state.Number(2));
  ASSIGN_OR_RETURN(SqliteStatement rows,
                   connection_.Prepare("SELECT key, value, created, modified FROM items"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return contents;
    contents.items.push_back({.key = rows.Bytes(0),
                              .value = std::make_shared<const std::string>(rows.Bytes(1)),
                              .created = static_cast<uint64_t>(rows.Number(2)),
                              .modified = static_cast<uint64_t>(rows.Number(3))});
  }
}

absl::Status SqliteFile::Write(std::span<const Item> events, uint64_t revision) {
  return Commit([&]() -> absl::Status {
    for (const Item& event : events) RETURN_IF_ERROR(Apply(event));
    set_revision_.Bind(1, static_cast<int64_t>(revision));
    return set_revision_.Run();
  });
}

absl::Status SqliteFile::Reserve(uint64_t reserved) {
  return Commit([&] {
    set_reserved_.Bind(1, static_cast<int64_t>(reserved));
    return set_reserved_.Run();
  });
}

absl::Status SqliteFile::Apply(const Item& event) {
  if (event.value == nullptr) {
    remove_.Bind(1, event.key);
    return remove_.Run();
  }
  const auto created = static_cast<int64_t>(event.created);
  const auto modified = static_cast<int64_t>(event.modified);
  put_.Bind(1, event.key);
  put_.Bind(2, *event.value);
  put_.Bind(3, created);
  put_.Bind(4, modified);
  put_.Bind(5, ItemChecksum(event.key, *event.value, created, modified));
  return put_.Run();
}

absl::Status SqliteFile::Commit(const std::function<absl::Status()>& write) {
  absl::Status status = TryCommit(write);
  // What the log holds may fit into the file, which makes the log free again.
  if (absl::IsResourceExhausted(status) && connection_.Run("PRAGMA wal_checkpoint(PASSIVE)").ok()) {
    status = TryCommit(write);
  }
  // Holds the lock until the next write, which tries again where this fails.
  (void)Begin();
  return status;
}

absl::Status SqliteFile::TryCommit(const std::function<absl::Status()>& write) {
  if (!connection_.in_transaction()) RETURN_IF_ERROR(Begin());
  absl::Status status = write();
  if (status.ok()) status = connection_.Run("COMMIT");
  if (connection_.in_transaction()) (void)connection_.Run("ROLLBACK");
  return status;
}

}  // namespace torchfleet::registry
