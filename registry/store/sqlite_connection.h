#pragma once
// One connection to an SQLite file, and statements on it, with errors as
// statuses. Used by one thread at a time.
//
// Errors: RESOURCE_EXHAUSTED when the disk is full, DATA_LOSS when the file is
// damaged or no database, PERMISSION_DENIED when it cannot be opened or
// written, FAILED_PRECONDITION when another process holds it, else UNAVAILABLE.
// Their texts name no file.

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace torchfleet::registry {

class SqliteStatement {
 public:
  // Of the parameter at `place`, from 1. The text is borrowed until Step or
  // Reset returns.
  void Bind(int place, int64_t number);
  void Bind(int place, std::string_view bytes);

  // True when there is a row; at the end of rows the statement is fresh again.
  absl::StatusOr<bool> Step();
  // For statements without rows.
  absl::Status Run();

  // Of the row's column, from 0.
  int64_t Number(int column) const;
  std::string Bytes(int column) const;

 private:
  friend class SqliteConnection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class SqliteConnection {
 public:
  // The file must be there unless `create`.
  static absl::StatusOr<SqliteConnection> Open(const std::string& path, bool create);

  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);
  // Without parameters and rows.
  absl::Status Run(std::string_view sql);
  // The first column of the first row.
  absl::StatusOr<int64_t> Number(std::string_view sql);
  absl::StatusOr<std::string> Text(std::string_view sql);

  bool read_only() const;
  bool in_transaction() const;
  // Closing leaves the write-ahead log and its index where they are.
  void KeepLogFiles();

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace torchfleet::registry
