#include "model-worker/execute/memory_budget.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/temporary_folder.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

TEST_CASE("MemoryBudget: refuses what does not fit beside all else", "[worker][memory]") {
  ManualClock clock;
  uint64_t used = 300;
  MemoryBudget budget(
      1000, [&] { return used; }, clock);
  const uint64_t refusals = MemoryBudget::refusals_here();
  CHECK(budget.Take(700));
  CHECK_FALSE(budget.Take(1));
  CHECK(MemoryBudget::refusals_here() == refusals + 1);
  CHECK(budget.refused() == 1);
  budget.Give(100);
  CHECK(budget.Take(100));
  CHECK(budget.counted() == 700);
}

TEST_CASE("MemoryBudget: measures anew before it refuses, though not each time",
          "[worker][memory]") {
  ManualClock clock;
  clock.Advance(absl::Seconds(1));
  uint64_t used = 900;
  MemoryBudget budget(
      1000, [&] { return used; }, clock);
  used = 100;
  CHECK(budget.Take(800));
  budget.Give(800);
  used = 0;
  CHECK_FALSE(budget.Take(950));
  clock.Advance(absl::Seconds(1));
  CHECK(budget.Take(950));
}

TEST_CASE("MemoryBudget: what is counted and not written to hides nothing", "[worker][memory]") {
  ManualClock clock;
  uint64_t used = 400;
  MemoryBudget budget(
      1000, [&] { return used; }, clock);
  budget.Measure(true);
  REQUIRE(budget.Take(500));
  // None of the 500 is in use yet.
  budget.Measure(false);
  CHECK_FALSE(budget.Take(200));
  CHECK(budget.Take(100));
}

TEST_CASE("MemoryBudget: without a limit it counts", "[worker][memory]") {
  ManualClock clock;
  MemoryBudget budget(
      std::nullopt, [] { return uint64_t{1} << 50; }, clock);
  budget.Measure(true);
  CHECK(budget.Take(uint64_t{1} << 60));
  CHECK(budget.counted() == uint64_t{1} << 60);
}

TEST_CASE("ControlGroupLimit: the least of the group's and those above, of either version",
          "[worker][memory]") {
  const TemporaryFolder root;
  CHECK(ControlGroupLimit(root.path()) == std::nullopt);
  root.Write("proc/self/cgroup", "0::/pods/one\n");
  root.Write("sys/fs/cgroup/pods/one/memory.max", "max\n");
  CHECK(ControlGroupLimit(root.path()) == std::nullopt);
  root.Write("sys/fs/cgroup/pods/memory.max", "5000\n");
  CHECK(ControlGroupLimit(root.path()) == 5000);
  // In a container: the path is the host's.
  root.Write("sys/fs/cgroup/memory.max", "4000\n");
  root.Write("proc/self/cgroup", "0::/elsewhere\n");
  CHECK(ControlGroupLimit(root.path()) == 4000);

  root.Write("proc/self/cgroup", "9:name=systemd:/a\n4:memory:/b/c\n");
  CHECK(ControlGroupLimit(root.path()) == std::nullopt);
  root.Write("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(ControlGroupLimit(root.path()) == std::nullopt);
  root.Write("sys/fs/cgroup/memory/b/c/memory.limit_in_bytes", "3000\n");
  CHECK(ControlGroupLimit(root.path()) == 3000);
}

TEST_CASE("ProcessMemory: is what this process has", "[worker][memory]") {
  CHECK(ProcessMemory() > 100'000);
}

}  // namespace
}  // namespace torchfleet::worker
