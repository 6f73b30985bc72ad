#include "registry/store/sqlite_store.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "registry/store/transaction_rules.h"

namespace torchfleet::registry {
namespace {

// A disk that hangs must not fill the memory.
constexpr size_t kMaxWaiting = 4096;
// How often the writer looks whether revisions are to be reserved.
constexpr std::chrono::seconds kReservationLook(1);

// What a client reads; the log has SQLite's words.
absl::Status ForClients(const absl::Status& disk) {
  if (disk.ok()) return disk;
  if (absl::IsResourceExhausted(disk)) {
    return absl::ResourceExhaustedError(
        "the registry's disk is full: nothing was written; reads go on");
  }
  return absl::UnavailableError("the registry cannot write to its disk; reads go on");
}

}  // namespace

struct SqliteStore::Batch {
  // Of each transaction, as long as the disk takes it all.
  std::vector<absl::Status> answers;
  std::vector<Item> events;
  uint64_t revision = 0;
  // What the keys held before, the latest last.
  std::vector<std::pair<std::string, std::optional<Item>>> before;
};

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               const Clock& clock) {
  ASSIGN_OR_RETURN(auto file, SqliteFile::Open(path));
  ASSIGN_OR_RETURN(auto contents, file->Read());
  const RevisionBlocks blocks(contents.reserved, absl::Now() - contents.made);
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(std::move(file), std::move(contents), blocks, clock));
  return store;
}

SqliteStore::SqliteStore(std::unique_ptr<SqliteFile> file, SqliteFile::Contents contents,
                         RevisionBlocks blocks, const Clock& clock)
    : file_(std::move(file)),
      written_revision_(contents.revision),
      memory_(clock, {.revision = blocks.first(),
                      .catalogue_revision = contents.revision,
                      .catalogue = contents.items}),
      blocks_(blocks) {
  for (Item& item : contents.items) {
    const std::string key = item.key;
    written_.Restore(key, std::move(item));
  }
  ReserveRevisions();
  writer_ = std::thread([this] { RunWriter(); });
}

SqliteStore::~SqliteStore() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  writer_.join();
}

void SqliteStore::Commit(Transaction transaction, Committed done) {
  if (transaction.space == Space::kLive) {
    return CommitLive(std::move(transaction), std::move(done));
  }
  bool room = false;
  {
    const std::lock_guard lock(mu_);
    room = queue_.size() < kMaxWaiting;
    if (room) queue_.push_back({std::move(transaction), std::move(done)});
  }
  if (room) return changed_.notify_one();
  done(absl::UnavailableError(
      absl::StrCat("the registry's disk does not keep up: ", kMaxWaiting, " changes wait for it")));
}

void SqliteStore::CommitLive(Transaction transaction, Committed done) {
  const uint64_t revision = memory_.revision();
  bool room = false;
  {
    const std::lock_guard lock(mu_);
    room = blocks_.HasRoom(revision);
  }
  if (room) return memory_.Commit(std::move(transaction), std::move(done));
  done(absl::ResourceExhaustedError(
      "the registry has used up its revisions, and its disk takes no note of new ones"));
}

void SqliteStore::RunWriter() {
  std::unique_lock lock(mu_);
  while (!stopping_) {
    changed_.wait_for(lock, kReservationLook, [this] { return stopping_ || !queue_.empty(); });
    std::vector<Waiting> waiting = std::exchange(queue_, {});
    lock.unlock();
    if (!waiting.empty()) WriteAll(std::move(waiting));
    ReserveRevisions();
    lock.lock();
  }
  const std::vector<Waiting> left = std::exchange(queue_, {});
  lock.unlock();
  for (const Waiting& one : left) one.done(absl::CancelledError("the registry stops"));
}

void SqliteStore::WriteAll(std::vector<Waiting> waiting) {
  Batch batch;
  batch.revision = written_revision_;
  for (Waiting& one : waiting) Stage(one.transaction, batch);
  absl::Status status;
  if (!batch.events.empty()) {
    status = file_->Write(batch.events, batch.revision);
    NoteDisk(status);
  }
  if (status.ok()) {
    written_revision_ = batch.revision;
  } else {
    for (auto place = batch.before.rbegin(); place != batch.before.rend(); ++place) {
      written_.Restore(place->first, std::move(place->second));
    }
  }
  Answer(std::move(waiting), batch, ForClients(status));
}

void SqliteStore::Stage(Transaction& transaction, Batch& batch) {
  absl::Status status = CheckRules(transaction);
  if (status.ok()) status = written_.Check(transaction.conditions);
  batch.answers.push_back(status);
  if (!status.ok() || !written_.Changes(transaction.writes)) return;
  ++batch.revision;
  for (const Write& write : transaction.writes) {
    const Item* before = written_.Find(write.key);
    batch.before.emplace_back(write.key, before == nullptr ? std::nullopt : std::optional(*before));
    if (write.value != nullptr) {
      batch.events.push_back(written_.Put(write, batch.revision));
    } else if (auto gone = written_.Remove(write.key, batch.revision)) {
      batch.events.push_back(*std::move(gone));
    }
  }
}

void SqliteStore::Answer(std::vector<Waiting> waiting, const Batch& batch,
                         const absl::Status& written) {
  for (size_t i = 0; i < waiting.size(); ++i) {
    Waiting& one = waiting[i];
    absl::Status status = batch.answers[i];
    // Where nothing was written, a condition may have failed by a write of the
    // same batch, which never was.
    if (!written.ok() && absl::IsAborted(status))
      status = written_.Check(one.transaction.conditions);
    if (status.ok()) status = written;
    if (status.ok()) {
      // Does and numbers the same as was written: nobody else changes this space.
      memory_.Commit(std::move(one.transaction), std::move(one.done));
    } else {
      one.done(status);
    }
  }
}

void SqliteStore::ReserveRevisions() {
  const uint64_t revision = memory_.revision();
  std::optional<RevisionBlocks> wanted;
  {
    const std::lock_guard lock(mu_);
    if (reserved_ && !blocks_.NeedsMore(revision)) return;
    wanted = blocks_;
    if (blocks_.NeedsMore(revision)) wanted->Grow();
  }
  const absl::Status status = file_->Reserve(wanted->end());
  NoteDisk(status);
  if (!status.ok()) return;
  const std::lock_guard lock(mu_);
  blocks_ = *wanted;
  reserved_ = true;
}

void SqliteStore::NoteDisk(const absl::Status& status) {
  if (status.ok() == disk_works_) return;
  disk_works_ = status.ok();
  if (disk_works_) {
    LogInfo("the catalogue can be written again");
  } else {
    LogError("the catalogue cannot be written; reads and leases go on",
             {{"error", std::string(status.message())}});
  }
}

}  // namespace torchfleet::registry
