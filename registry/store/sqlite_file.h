#pragma once
// The catalogue in an SQLite file: write-ahead log, synced with every write.
//
// One writer: the write lock is held as long as this is open, so no second
// registry and no other program can write meanwhile; reading, and so a backup,
// goes on. What is on the disk is checked when it is opened.
//
// Used by one thread at a time. Errors as of SqliteConnection; those of Open
// name the file and what to do.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "registry/store/sqlite_connection.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

class SqliteFile {
 public:
  // Makes it when it is not there.
  static absl::StatusOr<std::unique_ptr<SqliteFile>> Open(const std::string& path);

  struct Contents {
    std::vector<Item> items;
    // The catalogue's.
    uint64_t revision = 0;
    // The end of the positions that lives have reserved.
    uint64_t reserved = 0;
    absl::Time made;
  };
  absl::StatusOr<Contents> Read();

  // All of it is on the disk, or an error says why and nothing is; UNAVAILABLE:
  // it may be there after a crash all the same. Events are as listeners get
  // them, in order.
  absl::Status Write(std::span<const Item> events, uint64_t revision);
  absl::Status Reserve(uint64_t reserved);

 private:
  explicit SqliteFile(SqliteConnection connection) : connection_(std::move(connection)) {}
  absl::Status Begin();
  absl::Status Prepare();
  // Runs `write` and commits; a full disk gets room from the log, if it has any.
  // Outside of both there is a transaction, which holds the lock.
  absl::Status Commit(const std::function<absl::Status()>& write);
  absl::Status TryCommit(const std::function<absl::Status()>& write);
  absl::Status Apply(const Item& event);

  SqliteConnection connection_;
  // What SQLite says as long as nobody else has written.
  std::optional<int64_t> data_version_;
  SqliteStatement put_, remove_, set_revision_, set_reserved_;
};

}  // namespace torchfleet::registry
