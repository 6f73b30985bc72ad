#pragma once
// The access log: a line of JSON for each call, or for some of them.
//
//   {"time":"2026-11-24T05:00:00.123Z","protocol":"grpc","method":"…/ModelInfer",
//    "model":"m","version":"1","code":"OK","duration_ms":1.25,"bytes_in":3163,
//    "bytes_out":97,"attempts":1,"request_id":"…","trace_id":"…"}
//
// Calls that failed are always told, those that went well by the share that was
// asked for. Loops gather lines (AccessLogLines); one thread writes them, so no
// call waits for a disk or a pipe. Lines that find no room are dropped and
// counted, and the log says so.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "gateway/record/call_record.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

// The file and its thread. Thread-safe.
class AccessLog {
 public:
  struct Options {
    // "-" for standard output.
    std::string file;
    // Of the calls that went well.
    double share = 1;
  };

  // INVALID_ARGUMENT for a share outside 0 to 1 or a file that cannot be opened.
  static absl::StatusOr<std::unique_ptr<AccessLog>> Open(const Options& options);
  // Writes what is there.
  ~AccessLog();

  double share() const { return share_; }
  // Takes whole lines.
  void Append(const std::string& lines);

 private:
  AccessLog(int fd, double share);
  void Write();

  static constexpr size_t kMostWaiting = 8 << 20;

  const int fd_;
  const double share_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::string waiting_ ABSL_GUARDED_BY(mu_);
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// One loop's lines on their way there. Only on its loop's thread.
class AccessLogLines {
 public:
  // No log: nothing is told.
  AccessLogLines(net::Loop& loop, AccessLog* log);
  ~AccessLogLines() { Flush(); }

  bool on() const { return log_ != nullptr; }
  void Add(const CallRecord& record);

 private:
  void Flush();
  bool Wanted(const CallRecord& record);

  static constexpr size_t kEnough = 32 << 10;

  AccessLog* const log_;
  std::string lines_;
  net::Timer timer_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace torchfleet::gateway
