// torchfleet-bench-catalogue-writer: how many writes a second a disk takes.
//
//   --writers 0    a loop of write and fdatasync of the next KiB of a plain file
//   --writers N    N at a time into a catalogue in SQLite, 1 KiB each, each after
//                  the one before it was acknowledged
//
// Prints the rate and the median of how long one took, in µs.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "registry/store/sqlite_store.h"

namespace {

using namespace torchfleet;  // NOLINT
using Time = std::chrono::steady_clock;

struct Options {
  std::string folder;
  int writers = 1;
  double seconds = 2;
};

const auto kValue = std::make_shared<const std::string>(1024, 'x');

// How long each call took until the time was over, in µs; empty when one failed.
std::vector<double> Repeat(double seconds, const std::function<bool()>& call) {
  std::vector<double> took;
  const auto begin = Time::now();
  const auto end = begin + std::chrono::duration<double>(seconds);
  for (auto now = begin; now < end;) {
    if (!call()) return {};
    const auto after = Time::now();
    took.push_back(std::chrono::duration<double, std::micro>(after - now).count());
    now = after;
  }
  return took;
}

std::vector<double> WriteFile(const Options& options) {
  const std::string path = options.folder + "/plain";
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  const auto size = static_cast<ssize_t>(kValue->size());
  constexpr int kPlaces = 4096;
  const auto put = [&](int i) {
    return pwrite(fd, kValue->data(), kValue->size(), (i % kPlaces) * size) == size;
  };
  for (int i = 0; i < kPlaces; ++i) {
    if (!put(i)) return {};
  }
  fsync(fd);
  std::vector<double> took =
      Repeat(options.seconds, [&, i = 0]() mutable { return put(i++) && fdatasync(fd) == 0; });
  close(fd);
  return took;
}

// One key; waits for the answer.
bool Put(registry::Store& store, const std::string& key) {
  bool written = false;
  std::latch answered(1);
  store.Commit({.writes = {{.key = key, .value = kValue}}},
               [&](const absl::StatusOr<uint64_t>& revision) {
                 written = revision.ok();
                 answered.count_down();
               });
  answered.wait();
  return written;
}

// The plain file has its size, and so has the log of a registry that has run for
// a while.
bool FillLog(registry::Store& store) {
  for (int i = 0; i < 60; ++i) {
    registry::Transaction transaction;
    for (size_t k = 0; k < registry::kMaxWrites; ++k) {
      transaction.writes.push_back({.key = fmt::format("models/{}", k), .value = kValue});
    }
    std::promise<bool> written;
    store.Commit(std::move(transaction), [&](const absl::StatusOr<uint64_t>& revision) {
      written.set_value(revision.ok());
    });
    if (!written.get_future().get()) return false;
  }
  return true;
}

std::vector<double> WriteCatalogue(const Options& options) {
  const MonotonicClock clock;
  auto store = registry::SqliteStore::Open(options.folder + "/registry.db", clock);
  if (!store.ok() || !FillLog(**store)) return {};
  std::vector<std::vector<double>> took(static_cast<size_t>(options.writers));
  std::vector<std::jthread> writers;
  for (size_t w = 0; w < took.size(); ++w) {
    writers.emplace_back([&, w] {
      took[w] = Repeat(options.seconds, [&, i = 0]() mutable {
        return Put(**store, fmt::format("models/{}-{}", w, i++ % 100));
      });
    });
  }
  writers.clear();
  std::vector<double> all;
  for (const auto& one : took) all.insert(all.end(), one.begin(), one.end());
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("How many writes a second a disk takes, plain or as a catalogue in SQLite.");
  app.add_option("--folder", options.folder, "Where to write")->required();
  app.add_option("--writers", options.writers, "How many at a time; 0: a plain file");
  app.add_option("--seconds", options.seconds, "How long");
  CLI11_PARSE(app, argc, argv);
  std::vector<double> took = options.writers == 0 ? WriteFile(options) : WriteCatalogue(options);
  if (took.empty()) return 1;
  const auto middle = took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2);
  std::nth_element(took.begin(), middle, took.end());
  fmt::print("{:.1f} {:.1f}\n", static_cast<double>(took.size()) / options.seconds, *middle);
  return 0;
}
