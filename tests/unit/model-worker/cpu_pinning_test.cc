#include "model-worker/execute/cpu_pinning.h"

#include <sched.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <thread>

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("ParseCpus: numbers and ranges, in order and once each", "[worker][execute]") {
  using Cpus = std::vector<int>;
  CHECK(ParseCpus("0").value() == Cpus{0});
  CHECK(ParseCpus("0-3,8").value() == Cpus{0, 1, 2, 3, 8});
  CHECK(ParseCpus("8,0-2,1-3").value() == Cpus{0, 1, 2, 3, 8});
  CHECK(ParseCpus("5-5").value() == Cpus{5});
  CHECK(ParseCpus("1023").value() == Cpus{1023});
}

TEST_CASE("ParseCpus: what is no list is INVALID_ARGUMENT with its text", "[worker][execute]") {
  for (const char* text : {"", ",", "0,", ",0", "a", "0-", "-1", "3-1", "0-1-2", "1024", "0-1024",
                           " 0", "0, 1", "+1", "0x1", "1.5", "99999999999999999999"}) {
    CAPTURE(text);
    const absl::Status status = ParseCpus(text).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring("'" + std::string(text) + "'"));
  }
}

// The CPUs that a thread bound in this way has.
std::vector<int> Bound(const std::vector<int>& cpus, int instance, int instances) {
  std::vector<int> bound;
  std::thread([&] {
    PinToCpus(cpus, instance, instances);
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) bound.push_back(cpu);
    }
  }).join();
  return bound;
}

TEST_CASE("PinToCpus: instances share the CPUs, or have some of their own", "[worker][execute]") {
  const std::vector<int> all = Bound({}, 0, 1);
  REQUIRE_FALSE(all.empty());
  // Every instance has one, also where there are more of them than CPUs.
  for (int instance = 0; instance < 7; ++instance) {
    CHECK(Bound({all[0]}, instance, 7) == std::vector<int>{all[0]});
  }
  // All CPUs are somebody's, and nobody has two's.
  const int instances = static_cast<int>(all.size());
  std::vector<int> together;
  for (int instance = 0; instance < instances; ++instance) {
    for (const int cpu : Bound(all, instance, instances)) together.push_back(cpu);
  }
  CHECK(together == all);
  CHECK(Bound(all, 0, 1) == all);
  // What the machine has not is refused, and the thread runs on.
  CHECK(Bound({1023}, 0, 1) == all);
}

TEST_CASE("UsableCpus: at least one, and no more than the process is bound to",
          "[worker][execute]") {
  CHECK(UsableCpus() >= 1);
  CHECK(UsableCpus() <= static_cast<int>(Bound({}, 0, 1).size()));
}

}  // namespace
}  // namespace torchfleet::worker
