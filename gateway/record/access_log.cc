#include "gateway/record/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"

namespace torchfleet::gateway {
namespace {

constexpr absl::Duration kFlushAfter = absl::Milliseconds(100);

// A string that may hold anything, in quotes.
void AddText(std::string& line, std::string_view name, std::string_view text) {
  fmt::format_to(std::back_inserter(line), ",\"{}\":\"", name);
  for (const char c : text) {
    if (c == '"' || c == '\\') line.push_back('\\');
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\u{:04x}", byte);
    } else {
      line.push_back(c);
    }
  }
  line.push_back('"');
}

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;  // the disk is full: calls go on
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<AccessLog>> AccessLog::Open(const Options& options) {
  if (!(options.share >= 0 && options.share <= 1)) {
    return absl::InvalidArgumentError(
        fmt::format("the share of calls in the access log is {}; expected 0 to 1", options.share));
  }
  const int fd = options.file == "-"
                     ? dup(STDOUT_FILENO)
                     : open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) {
    return absl::InvalidArgumentError(fmt::format("the access log '{}' cannot be opened: {}",
                                                  options.file, std::strerror(errno)));
  }
  return std::unique_ptr<AccessLog>(new AccessLog(fd, options.share));
}

AccessLog::AccessLog(int fd, double share) : fd_(fd), share_(share), thread_([this] { Write(); }) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
  close(fd_);
}

void AccessLog::Append(const std::string& lines) {
  {
    const std::lock_guard lock(mu_);
    if (waiting_.size() + lines.size() > kMostWaiting) {
      ++dropped_;
      return;
    }
    waiting_ += lines;
  }
  changed_.notify_one();
}

void AccessLog::Write() {
  std::string taken;
  std::unique_lock lock(mu_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    const bool last = stopping_;
    taken.clear();
    std::swap(taken, waiting_);
    const uint64_t dropped = std::exchange(dropped_, 0);
    lock.unlock();
    WriteAll(fd_, taken);
    if (dropped > 0) {
      LogWarning("the access log cannot keep up; lines were dropped",
                 {{"batches", std::to_string(dropped)}});
    }
    lock.lock();
    if (last && waiting_.empty()) return;
  }
}

AccessLogLines::AccessLogLines(net::Loop& loop, AccessLog* log)
    : log_(log), timer_(loop, [this] { Flush(); }) {}

bool AccessLogLines::Wanted(const CallRecord& record) {
  if (log_ == nullptr) return false;
  if (record.code != absl::StatusCode::kOk || log_->share() >= 1) return true;
  return std::uniform_real_distribution<>()(random_) < log_->share();
}

void AccessLogLines::Add(const CallRecord& record) {
  if (!Wanted(record)) return;
  fmt::format_to(std::back_inserter(lines_), "{{\"time\":\"{}\",\"protocol\":\"{}\"",
                 absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
                 record.protocol);
  AddText(lines_, "method", Clip(record.method, 256));
  if (!record.model.empty()) AddText(lines_, "model", Clip(record.model));
  if (!record.version.empty()) AddText(lines_, "version", Clip(record.version));
  AddText(lines_, "code", absl::StatusCodeToString(record.code));
  if (record.http_status != 0) {
    fmt::format_to(std::back_inserter(lines_), ",\"http_status\":{}", record.http_status);
  }
  fmt::format_to(std::back_inserter(lines_),
                 ",\"duration_ms\":{:.3f},\"bytes_in\":{},\"bytes_out\":{},\"attempts\":{}",
                 absl::ToDoubleMilliseconds(record.duration), record.bytes_in, record.bytes_out,
                 record.attempts);
  AddText(lines_, "request_id", record.ids.request_id());
  AddText(lines_, "trace_id", record.ids.trace_id());
  lines_ += "}\n";
  if (lines_.size() >= kEnough) {
    Flush();
  } else if (!timer_.running()) {
    timer_.Start(kFlushAfter);
  }
}

void AccessLogLines::Flush() {
  timer_.Stop();
  if (log_ == nullptr || lines_.empty()) return;
  log_->Append(lines_);
  lines_.clear();
}

}  // namespace torchfleet::gateway
