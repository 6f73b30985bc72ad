#include "tests/unit/registry/store/faulty_disk.h"

#include <sqlite3.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace torchfleet::registry {
namespace {

enum class Fault { kNone, kFull, kSyncFails, kHangs };

std::mutex mu;
std::condition_variable changed;
Fault fault = Fault::kNone;
int hanging = 0;
std::atomic<bool> log_unsynced = false;

void Set(Fault wanted) {
  {
    const std::lock_guard lock(mu);
    fault = wanted;
  }
  changed.notify_all();
}

// A file of SQLite's; the system's own lies behind it.
struct File : sqlite3_file {
  bool is_log;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* Of(sqlite3_file* file) { return static_cast<File*>(file); }

// Hands a call on to the system's file.
template <auto kMethod>
struct HandOn;
template <typename... Args, int (*sqlite3_io_methods::*kMethod)(sqlite3_file*, Args...)>
struct HandOn<kMethod> {
  static int Call(sqlite3_file* file, Args... args) {
    sqlite3_file* real = Of(file)->real();
    return (real->pMethods->*kMethod)(real, args...);
  }
};

int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  {
    const std::lock_guard lock(mu);
    if (fault == Fault::kFull) return SQLITE_FULL;
  }
  if (Of(file)->is_log) log_unsynced = true;
  return HandOn<&sqlite3_io_methods::xWrite>::Call(file, data, size, offset);
}

int Sync(sqlite3_file* file, int flags) {
  {
    std::unique_lock lock(mu);
    ++hanging;
    changed.notify_all();
    changed.wait(lock, [] { return fault != Fault::kHangs; });
    --hanging;
    if (fault == Fault::kSyncFails) return SQLITE_IOERR_FSYNC;
  }
  const int code = HandOn<&sqlite3_io_methods::xSync>::Call(file, flags);
  if (code == SQLITE_OK && Of(file)->is_log) log_unsynced = false;
  return code;
}

void ShmBarrier(sqlite3_file* file) { Of(file)->real()->pMethods->xShmBarrier(Of(file)->real()); }

const sqlite3_io_methods kMethods = {
    .iVersion = 3,
    .xClose = HandOn<&sqlite3_io_methods::xClose>::Call,
    .xRead = HandOn<&sqlite3_io_methods::xRead>::Call,
    .xWrite = Write,
    .xTruncate = HandOn<&sqlite3_io_methods::xTruncate>::Call,
    .xSync = Sync,
    .xFileSize = HandOn<&sqlite3_io_methods::xFileSize>::Call,
    .xLock = HandOn<&sqlite3_io_methods::xLock>::Call,
    .xUnlock = HandOn<&sqlite3_io_methods::xUnlock>::Call,
    .xCheckReservedLock = HandOn<&sqlite3_io_methods::xCheckReservedLock>::Call,
    .xFileControl = HandOn<&sqlite3_io_methods::xFileControl>::Call,
    .xSectorSize = HandOn<&sqlite3_io_methods::xSectorSize>::Call,
    .xDeviceCharacteristics = HandOn<&sqlite3_io_methods::xDeviceCharacteristics>::Call,
    .xShmMap = HandOn<&sqlite3_io_methods::xShmMap>::Call,
    .xShmLock = HandOn<&sqlite3_io_methods::xShmLock>::Call,
    .xShmBarrier = ShmBarrier,
    .xShmUnmap = HandOn<&sqlite3_io_methods::xShmUnmap>::Call,
    .xFetch = HandOn<&sqlite3_io_methods::xFetch>::Call,
    .xUnfetch = HandOn<&sqlite3_io_methods::xUnfetch>::Call,
};

sqlite3_vfs* system_files = nullptr;

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  File* ours = Of(file);
  ours->is_log = (flags & SQLITE_OPEN_WAL) != 0;
  const int code = system_files->xOpen(system_files, name, ours->real(), flags, out_flags);
  // Without methods SQLite closes nothing.
  ours->pMethods = ours->real()->pMethods == nullptr ? nullptr : &kMethods;
  return code;
}

sqlite3_vfs* OurFiles() {
  static sqlite3_vfs files = [] {
    system_files = sqlite3_vfs_find(nullptr);
    sqlite3_vfs copy = *system_files;
    copy.szOsFile += static_cast<int>(sizeof(File));
    copy.zName = "faulty";
    copy.xOpen = Open;
    return copy;
  }();
  return &files;
}

}  // namespace

FaultyDisk::FaultyDisk() {
  Work();
  sqlite3_vfs_register(OurFiles(), 1);
}

FaultyDisk::~FaultyDisk() {
  Work();
  sqlite3_vfs_register(system_files, 1);
}

void FaultyDisk::Work() { Set(Fault::kNone); }
void FaultyDisk::BeFull() { Set(Fault::kFull); }
void FaultyDisk::FailToSync() { Set(Fault::kSyncFails); }
void FaultyDisk::Hang() { Set(Fault::kHangs); }

void FaultyDisk::AwaitHanging() {
  std::unique_lock lock(mu);
  changed.wait(lock, [] { return hanging > 0; });
}

bool FaultyDisk::unsynced() const { return log_unsynced; }

}  // namespace torchfleet::registry
