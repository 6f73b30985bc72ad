#include "registry/store/revision_waiters.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::registry {
namespace {

Instant At(int seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

TEST_CASE("RevisionWaiters: who waits goes on in the order of revisions",
          "[registry][store][etcd]") {
  RevisionWaiters waiters;
  std::string went;
  waiters.Add(7, At(1), [&](const absl::Status&) { went += "7"; });
  waiters.Add(5, At(2), [&](const absl::Status& status) {
    went += status.ok() ? "5" : "x";
    // Who goes on may wait again.
    waiters.Add(6, At(3), [&](const absl::Status&) { went += "6"; });
  });
  waiters.Reach(4);
  CHECK(went.empty());
  waiters.Reach(6);
  CHECK(went == "56");
  CHECK_FALSE(waiters.empty());
  waiters.Reach(8);
  CHECK(went == "567");
  CHECK(waiters.empty());
}

TEST_CASE("RevisionWaiters: only those who have waited too long give up",
          "[registry][store][etcd]") {
  RevisionWaiters waiters;
  std::string went;
  waiters.Add(5, At(1), [&](const absl::Status& status) { went += std::string(status.message()); });
  waiters.Add(5, At(3), [&](const absl::Status&) { went += "later"; });
  CHECK(waiters.AnyBefore(At(2)));
  waiters.GiveUp(At(2), absl::UnavailableError("late"));
  CHECK(went == "late");
  CHECK_FALSE(waiters.AnyBefore(At(2)));
  CHECK_FALSE(waiters.empty());
}

}  // namespace
}  // namespace torchfleet::registry
