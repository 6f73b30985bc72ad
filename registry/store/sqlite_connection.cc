#include "registry/store/sqlite_connection.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace torchfleet::registry {
namespace {

// How long a lock is waited for: a registry that was told to stop lets go.
constexpr int kLockWaitMilliseconds = 1000;

absl::Status Error(sqlite3* handle) {
  const int code = sqlite3_extended_errcode(handle);
  const int system = sqlite3_system_errno(handle);
  std::string text = sqlite3_errmsg(handle);
  if ((code & 0xFF) == SQLITE_CANTOPEN || (code & 0xFF) == SQLITE_IOERR) {
    if (system != 0) absl::StrAppend(&text, ": ", std::strerror(system));
    // A sync that failed may have written all the same.
    const bool nothing_written = code != SQLITE_IOERR_FSYNC;
    if (nothing_written && (system == ENOSPC || system == EDQUOT)) {
      return absl::ResourceExhaustedError(text);
    }
  }
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace

void SqliteStatement::Bind(int place, int64_t number) {
  sqlite3_bind_int64(statement_.get(), place, number);
}

void SqliteStatement::Bind(int place, std::string_view bytes) {
  // An empty view may have no data, which would bind NULL.
  sqlite3_bind_blob64(statement_.get(), place, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_STATIC);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  absl::Status status;
  if (code != SQLITE_DONE) status = Error(sqlite3_db_handle(statement_.get()));
  sqlite3_reset(statement_.get());
  if (!status.ok()) return status;
  return false;
}

absl::Status SqliteStatement::Run() {
  ASSIGN_OR_RETURN(bool row, Step());
  while (row) {
    ASSIGN_OR_RETURN(row, Step());
  }
  return absl::OkStatus();
}

int64_t SqliteStatement::Number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string SqliteStatement::Bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return size == 0 ? std::string() : std::string(bytes, size);
}

absl::StatusOr<SqliteConnection> SqliteConnection::Open(const std::string& path, bool create) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (create ? SQLITE_OPEN_CREATE : 0);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  SqliteConnection connection;
  connection.handle_.reset(handle);
  if (handle == nullptr) return absl::ResourceExhaustedError("no memory for SQLite");
  if (code != SQLITE_OK) return Error(handle);
  sqlite3_busy_timeout(handle, kLockWaitMilliseconds);
  return connection;
}

absl::StatusOr<SqliteStatement> SqliteConnection::Prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &prepared, nullptr) != SQLITE_OK) {
    return Error(handle_.get());
  }
  SqliteStatement statement;
  statement.statement_.reset(prepared);
  return statement;
}

absl::Status SqliteConnection::Run(std::string_view sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  return statement.Run();
}

absl::StatusOr<int64_t> SqliteConnection::Number(std::string_view sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::DataLossError(absl::StrCat("no row for: ", std::string(sql)));
  return statement.Number(0);
}

absl::StatusOr<std::string> SqliteConnection::Text(std::string_view sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::DataLossError(absl::StrCat("no row for: ", std::string(sql)));
  return statement.Bytes(0);
}

bool SqliteConnection::read_only() const { return sqlite3_db_readonly(handle_.get(), "main") == 1; }

bool SqliteConnection::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

void SqliteConnection::KeepLogFiles() {
  int keep = 1;
  sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

}  // namespace torchfleet::registry
