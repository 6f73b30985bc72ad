#pragma once
// The last fleet that a registry named, on disk: what a gateway starts from when
// no registry answers.
//
// One line of text, `torchfleet-fleet 1 <CRC-32> <bytes> <unix milliseconds>`, then
// a WatchResponse. It is replaced whole, by rename, so that there is the old one or
// the new one after any crash; the checksum is over all but the first three words.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/discover/fleet_snapshot.h"

namespace torchfleet::gateway {

struct FiledFleet {
  // A snapshot, with the incarnation it was from.
  registry::v1::WatchResponse fleet = {};
  absl::Time written = absl::InfinitePast();
};

// NOT_FOUND when there is no file; DATA_LOSS for one that is damaged, is no such
// file or is of a later version; what reading it gave otherwise.
absl::StatusOr<FiledFleet> ReadFleetFile(const std::string& path);
absl::Status WriteFleetFile(const std::string& path, const FiledFleet& fleet);

// Writes the latest fleet that it was given, at most once a second, on a thread of
// its own. A file that cannot be written is said once.
//
// Lifecycle: ends with its destruction, which writes what is left. Thread-safe.
class FleetFileWriter {
 public:
  explicit FleetFileWriter(std::string path);
  ~FleetFileWriter();

  void Set(const FleetSnapshot& fleet, const std::string& incarnation);

 private:
  void Run();
  void Write(const FleetSnapshot& fleet, const std::string& incarnation);

  const std::string path_;
  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  std::unique_ptr<const FleetSnapshot> next_;
  std::string incarnation_;
  bool stopped_ = false;

  // Only on the thread.
  bool failed_ = false;
  std::thread thread_;
};

}  // namespace torchfleet::gateway
