#include "base/snapshot.h"

#include <catch2/catch_test_macros.hpp>
#include <thread>
#include <utility>
#include <vector>

namespace torchfleet {
namespace {

TEST_CASE("Snapshot: a reader keeps its value when another is set", "[base][snapshot]") {
  Snapshot<int> snapshot(1);
  const auto held = snapshot.Get();
  snapshot.Set(2);
  CHECK(*held == 1);
  CHECK(*snapshot.Get() == 2);
}

TEST_CASE("Snapshot: readers never see half a value", "[base][snapshot]") {
  Snapshot<std::pair<int, int>> snapshot;
  std::atomic<bool> done = false;
  std::atomic<int> torn = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const auto value = snapshot.Get();
        if (value->first != value->second) ++torn;
      }
    });
  }
  for (int i = 0; i < 5000; ++i) snapshot.Set({i, i});
  done = true;
  readers.clear();
  CHECK(torn == 0);
}

}  // namespace
}  // namespace torchfleet
