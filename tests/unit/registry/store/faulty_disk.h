#pragma once
// A disk under SQLite that can be full, fail or hang, for as long as this
// lives. Every connection that is opened meanwhile goes through it.

namespace torchfleet::registry {

class FaultyDisk {
 public:
  // The disk works at first.
  FaultyDisk();
  ~FaultyDisk();

  void Work();
  // Nothing can be written.
  void BeFull();
  // Nothing can be synced.
  void FailToSync();
  // Syncs wait until the disk works again.
  void Hang();
  // Returns when a sync waits.
  void AwaitHanging();

  // Something was written to a log that is not synced yet.
  bool unsynced() const;
};

}  // namespace torchfleet::registry
