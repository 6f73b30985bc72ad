#include "base/shared_map.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>

namespace torchfleet {
namespace {

using Numbers = SharedMap<std::shared_ptr<const int>>;

TEST_CASE("SharedMap: finds what is there, in order", "[base]") {
  const Numbers empty;
  CHECK(empty.empty());
  CHECK(empty.begin() == empty.end());
  CHECK(empty.find("a") == empty.end());
  const Numbers one = empty.With("b", std::make_shared<const int>(2));
  CHECK(empty.empty());
  CHECK(one.size() == 1);
  CHECK(*one.at("b") == 2);
  for (const char* name : {"", "a", "ba", "c"}) CHECK_FALSE(one.contains(name));
  CHECK(one.With({{"b", std::nullopt}, {"nobody", std::nullopt}}).empty());
}

TEST_CASE("SharedMap: is as a plain map after any changes, and the versions before stand",
          "[base][property]") {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::map<std::string, int> plain, before;
    Numbers map, old;
    for (int step = 0; step < 100; ++step) {
      Numbers::Changes changes;
      old = map;
      before = plain;
      for (uint32_t i = 0, count = random() % 90; i < count; ++i) {
        const std::string name = std::to_string(random() % 500);
        if (random() % 5 < (step < 50 ? 4U : 1U)) {
          const int value = static_cast<int>(random());
          plain[name] = value;
          changes[name] = std::make_shared<const int>(value);
        } else {
          plain.erase(name);
          changes[name] = std::nullopt;
        }
      }
      map = map.With(changes);
      REQUIRE(map.size() == plain.size());
    }
    for (const auto& [compared, with] : {std::pair(&map, &plain), std::pair(&old, &before)}) {
      auto expected = with->begin();
      for (const auto& [name, value] : *compared) {
        REQUIRE(expected != with->end());
        CHECK(name == expected->first);
        CHECK(*value == expected->second);
        CHECK(*compared->at(name) == *value);
        ++expected;
      }
      CHECK(expected == with->end());
    }
  }
}

TEST_CASE("SharedMap: a change copies little", "[base]") {
  Numbers::Changes changes;
  for (int i = 0; i < 10000; ++i) changes[std::to_string(i)] = std::make_shared<const int>(i);
  const Numbers before = Numbers().With(changes);
  const Numbers after = before.With("5000", std::make_shared<const int>(-1));
  int copied = 0;
  for (auto old = before.begin(), now = after.begin(); old != before.end(); ++old, ++now) {
    copied += &*old != &*now;
  }
  CHECK(copied <= 64);
  CHECK(*after.at("5000") == -1);
  CHECK(*before.at("5000") == 5000);
}

}  // namespace
}  // namespace torchfleet
