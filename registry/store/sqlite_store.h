#pragma once
// The embedded default: the catalogue in an SQLite file, live keys in memory.
//
//   Commit(catalogue) ─► queue ─► writer thread: conditions in order, one write
//                                 and one sync for all that wait
//                             ─► MemoryStore: followers, then acknowledgement
//   everything else   ─► MemoryStore, which never waits for the disk
//
// A disk that is full or fails refuses writes with an error; a disk that hangs
// keeps them waiting; both leave reads and leases alone, and the next write
// tries again.
//
// Lifecycle: as Store's. Borrows the clock. Thread-safe.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "registry/store/key_table.h"
#include "registry/store/memory_store.h"
#include "registry/store/revision_blocks.h"
#include "registry/store/sqlite_file.h"

namespace torchfleet::registry {

class SqliteStore : public Store {
 public:
  // Errors as SqliteFile::Open's.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           const Clock& clock);
  ~SqliteStore() override;

  void Commit(Transaction transaction, Committed done) override;
  void Grant(absl::Duration ttl, Granted done) override { memory_.Grant(ttl, std::move(done)); }
  void Renew(LeaseId lease, Done done) override { memory_.Renew(lease, std::move(done)); }
  void Revoke(LeaseId lease, Done done) override { memory_.Revoke(lease, std::move(done)); }
  void Latest(Committed done) override { memory_.Latest(std::move(done)); }
  void Follow(StoreListener& listener) override { memory_.Follow(listener); }
  void Unfollow(StoreListener& listener) override { memory_.Unfollow(listener); }

 private:
  struct Waiting {
    Transaction transaction;
    Committed done;
  };
  // The transactions of one write, and what comes of it.
  struct Batch;

  SqliteStore(std::unique_ptr<SqliteFile> file, SqliteFile::Contents contents,
              RevisionBlocks blocks, const Clock& clock);
  void CommitLive(Transaction transaction, Committed done);
  void RunWriter();
  void WriteAll(std::vector<Waiting> waiting);
  void Stage(Transaction& transaction, Batch& batch);
  void Answer(std::vector<Waiting> waiting, const Batch& batch, const absl::Status& written);
  void ReserveRevisions();
  // Says so when the disk begins to fail, and when it works again.
  void NoteDisk(const absl::Status& status);

  // Only the writer thread's.
  std::unique_ptr<SqliteFile> file_;
  KeyTable written_;
  uint64_t written_revision_;
  bool disk_works_ = true;

  MemoryStore memory_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<Waiting> queue_ ABSL_GUARDED_BY(mu_);
  RevisionBlocks blocks_ ABSL_GUARDED_BY(mu_);
  // What the disk knows of blocks_.
  bool reserved_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread writer_;
};

}  // namespace torchfleet::registry
