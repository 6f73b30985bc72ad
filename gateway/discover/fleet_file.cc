#include "gateway/discover/fleet_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"

namespace torchfleet::gateway {
namespace {

constexpr char kName[] = "torchfleet-fleet";
constexpr int kVersion = 1;
constexpr std::chrono::seconds kInterval(1);

uint64_t Checksum(const std::string& time, const std::string& bytes) {
  uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(time.data()), time.size());
  sum = crc32_z(sum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  return sum;
}

absl::Status Unreadable(const std::string& path, const std::string& what) {
  return absl::DataLossError(
      fmt::format("{} {}; expected what a gateway with --fleet-file wrote", path, what));
}

absl::Status Failed(const std::string& what, const std::string& path) {
  return absl::InternalError(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

// All of it, and on the disk.
absl::Status WriteThrough(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("open", path);
  absl::Status status;
  for (size_t at = 0; at < text.size() && status.ok();) {
    const ssize_t written = write(fd, text.data() + at, text.size() - at);
    if (written >= 0) {
      at += static_cast<size_t>(written);
    } else if (errno != EINTR) {
      status = Failed("write", path);
    }
  }
  if (status.ok() && fsync(fd) != 0) status = Failed("sync", path);
  if (close(fd) != 0 && status.ok()) status = Failed("close", path);
  return status;
}

}  // namespace

absl::StatusOr<FiledFleet> ReadFleetFile(const std::string& path) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    if (errno == ENOENT) return absl::NotFoundError(fmt::format("there is no {}", path));
    return Failed("open", path);
  }
  std::string name, time;
  int version = 0;
  uint64_t sum = 0, size = 0;
  stream >> name >> version >> sum >> size >> time;
  if (!stream || name != kName || stream.get() != '\n') return Unreadable(path, "is no fleet file");
  if (version != kVersion) {
    return Unreadable(path, fmt::format("has version {}, not {}", version, kVersion));
  }
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  FiledFleet filed;
  int64_t milliseconds = 0;
  if (bytes.size() != size || Checksum(time, bytes) != sum ||
      std::sscanf(time.c_str(), "%ld", &milliseconds) != 1 || !filed.fleet.ParseFromString(bytes) ||
      !filed.fleet.has_snapshot()) {
    return Unreadable(path, "is damaged");
  }
  filed.written = absl::FromUnixMillis(milliseconds);
  return filed;
}

absl::Status WriteFleetFile(const std::string& path, const FiledFleet& fleet) {
  const std::string bytes = fleet.fleet.SerializeAsString();
  const std::string time = std::to_string(absl::ToUnixMillis(fleet.written));
  const std::string text =
      fmt::format("{} {} {} {} {}\n", kName, kVersion, Checksum(time, bytes), bytes.size(), time) +
      bytes;
  const std::string temporary = fmt::format("{}.{}", path, getpid());
  const absl::Status status = WriteThrough(temporary, text);
  if (!status.ok() || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const absl::Status failed = status.ok() ? Failed("rename a file to", path) : status;
    unlink(temporary.c_str());
    return failed;
  }
  return absl::OkStatus();
}

FleetFileWriter::FleetFileWriter(std::string path)
    : path_(std::move(path)), thread_([this] { Run(); }) {}

FleetFileWriter::~FleetFileWriter() {
  {
    const std::lock_guard lock(mu_);
    stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void FleetFileWriter::Set(const FleetSnapshot& fleet, const std::string& incarnation) {
  auto next = std::make_unique<const FleetSnapshot>(fleet);
  const std::lock_guard lock(mu_);
  next_.swap(next);
  incarnation_ = incarnation;
  changed_.notify_all();
}

void FleetFileWriter::Run() {
  std::unique_lock lock(mu_);
  while (true) {
    changed_.wait(lock, [&] { return next_ || stopped_; });
    if (!next_) return;
    const auto fleet = std::exchange(next_, nullptr);
    const std::string incarnation = incarnation_;
    lock.unlock();
    Write(*fleet, incarnation);
    lock.lock();
    changed_.wait_for(lock, kInterval, [&] { return stopped_; });
  }
}

void FleetFileWriter::Write(const FleetSnapshot& fleet, const std::string& incarnation) {
  FiledFleet filed{.written = absl::Now()};
  filed.fleet.set_incarnation(incarnation);
  *filed.fleet.mutable_snapshot() = AsSaid(fleet);
  const absl::Status status = WriteFleetFile(path_, filed);
  if (!status.ok() && !failed_) {
    LogWarning(
        "the fleet cannot be kept on disk; a gateway that starts without a registry has "
        "an older one or none",
        {{"status", std::string(status.message())}});
  }
  failed_ = !status.ok();
}

}  // namespace torchfleet::gateway
