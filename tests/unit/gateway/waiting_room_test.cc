#include "gateway/admit/waiting_room.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace torchfleet::gateway {
namespace {

Instant At(double milliseconds) {
  return Instant::FromStart(absl::Seconds(100) + absl::Milliseconds(milliseconds));
}

using Room = WaitingRoom<std::string>;

// Lets in who is next; null for nobody.
std::string* Next(Room& room) {
  std::string* const first = room.First();
  if (first) room.Leave(*first);
  return first;
}

TEST_CASE("WaitingRoom: the most urgent first, of equals who came first", "[gateway][admit]") {
  Room room;
  std::vector<std::string> all = {"b1", "a1", "b2", "a2"};
  for (std::string& waiter : all) {
    CHECK(room.Enter(waiter, {.urgency = waiter[0] == 'a' ? 1U : 2U}, At(0)) == nullptr);
  }
  for (const char* expected : {"a1", "a2", "b1", "b2"}) CHECK(*Next(room) == expected);
  CHECK(Next(room) == nullptr);
}

TEST_CASE("WaitingRoom: a line that does not grow may wait a while", "[gateway][admit]") {
  Room room;
  std::vector<std::string> callers = {"one", "two", "three"};
  for (std::string& caller : callers) room.Enter(caller, {}, At(0));
  // Each comes again when it was answered.
  for (int turn = 1; turn < 100; ++turn) {
    CHECK(room.Overdue(At(turn * 80)) == nullptr);
    room.Enter(*Next(room), {}, At(turn * 80));
  }
}

TEST_CASE("WaitingRoom: once somebody waited in vain nobody waits long", "[gateway][admit]") {
  Room room;
  std::string one = "one", two = "two", three = "three";
  room.Enter(one, {}, At(0));
  room.Enter(two, {}, At(240));
  CHECK(room.Overdue(At(249)) == nullptr);
  CHECK(room.Overdue(At(250)) == &one);
  CHECK(room.Overdue(At(250)) == &two);
  CHECK(room.Overdue(At(250)) == nullptr);
  room.Enter(three, {}, At(490));
  CHECK(room.Overdue(At(491)) == nullptr);
  CHECK(room.Overdue(At(492)) == &three);
  // That goes on until nobody was shown out for a while.
  room.Enter(one, {}, At(750));
  CHECK(room.Overdue(At(999)) == nullptr);
  CHECK(room.Overdue(At(1000)) == &one);
}

TEST_CASE("WaitingRoom: full, it takes nobody but the more urgent", "[gateway][admit]") {
  Room room;
  std::vector<std::string> many(100);
  for (std::string& waiter : many) {
    CHECK(room.Enter(waiter, {.urgency = 2}, At(0)) == nullptr);
  }
  std::string late = "late", urgent = "urgent";
  CHECK(room.Enter(late, {.urgency = 2, .full = true}, At(1)) == &late);
  CHECK(room.Enter(urgent, {.urgency = 1, .full = true}, At(1)) == &many.back());
  CHECK(room.size() == many.size());
  CHECK(Next(room) == &urgent);
}

TEST_CASE("WaitingRoom: full of those who wait elsewhere, it takes nobody", "[gateway][admit]") {
  Room room;
  std::string urgent = "urgent";
  CHECK(room.Enter(urgent, {.urgency = 1, .full = true}, At(0)) == &urgent);
  CHECK(room.empty());
}

TEST_CASE("WaitingRoom: each waits for as long as it is to", "[gateway][admit]") {
  Room room;
  std::string hasty = "hasty", patient = "patient";
  std::string other = "other";
  room.Enter(patient, {.patience = absl::Seconds(1)}, At(0));
  room.Enter(hasty, {.patience = absl::Milliseconds(2)}, At(10));
  CHECK(room.Overdue(At(11)) == nullptr);
  CHECK(room.Overdue(At(12)) == &hasty);
  // From now on others are in a hurry, but not who is to wait for so long.
  room.Enter(other, {}, At(20));
  CHECK(room.Overdue(At(25)) == &other);
  CHECK(room.Overdue(At(999)) == nullptr);
  CHECK(room.Overdue(At(1000)) == &patient);
}

TEST_CASE("WaitingRoom: who leaves is not called", "[gateway][admit]") {
  Room room;
  std::string one = "one", two = "two";
  room.Enter(one, {}, At(0));
  room.Enter(two, {}, At(0));
  room.Leave(one);
  room.Leave(one);
  CHECK(Next(room) == &two);
  CHECK(room.empty());
}

}  // namespace
}  // namespace torchfleet::gateway
