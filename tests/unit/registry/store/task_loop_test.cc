#include "registry/store/task_loop.h"

#include <catch2/catch_test_macros.hpp>
#include <future>
#include <string>

namespace torchfleet::registry {
namespace {

TEST_CASE("TaskLoop: tasks in order, timers by their time", "[registry][store][etcd]") {
  const MonotonicClock clock;
  TaskLoop loop(clock);
  std::string ran;
  std::promise<void> last;
  loop.Run([&] {
    loop.After(absl::Milliseconds(20), [&] {
      ran += "d";
      last.set_value();
    });
    loop.After(absl::Milliseconds(1), [&] { ran += "c"; });
    loop.Post([&] { ran += "b"; });
    // On the loop itself at once.
    loop.Run([&] { ran += "a"; });
  });
  last.get_future().wait();
  loop.Stop();
  CHECK(ran == "abcd");
}

TEST_CASE("TaskLoop: what was posted before Stop runs, timers and later tasks do not",
          "[registry][store][etcd]") {
  const MonotonicClock clock;
  TaskLoop loop(clock);
  std::string ran;
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  loop.Post([gone] { gone.wait(); });
  loop.Post([&] { ran += "a"; });
  loop.After(absl::Hours(1), [&] { ran += "b"; });
  go.set_value();
  loop.Stop();
  loop.Post([&] { ran += "c"; });
  CHECK(ran == "a");
}

}  // namespace
}  // namespace torchfleet::registry
