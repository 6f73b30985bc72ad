#include "registry/store/etcd_address.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::registry {
namespace {

TEST_CASE("ParseEtcdAddress: members and a prefix", "[registry][store][etcd]") {
  const auto one = ParseEtcdAddress("etcd.example:2379");
  REQUIRE(one.ok());
  CHECK(one->members == std::vector<std::string>{"etcd.example:2379"});
  CHECK(one->prefix == "torchfleet");
  const auto three = ParseEtcdAddress("10.0.0.1:2379,[::1]:2380,c:1/teams/vision-1");
  REQUIRE(three.ok());
  CHECK(three->members == std::vector<std::string>{"10.0.0.1:2379", "[::1]:2380", "c:1"});
  CHECK(three->prefix == "teams/vision-1");
}

TEST_CASE("ParseEtcdAddress: anything else is refused", "[registry][store][etcd]") {
  for (const char* text : {"", "a", "a:", ":1", "a:0", "a:65536", "a:x", "a:1,", ",a:1", "a:1,,b:1",
                           "a:1/", "a:1//x", "a:1/x/", "a:1/x//y", "a:1/x y", "http://a:1"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseEtcdAddress(text).status()));
  }
}

TEST_CASE("EtcdKeys: each key is in the range, and read back", "[registry][store][etcd]") {
  const EtcdKeys keys("x");
  for (const Space space : {Space::kCatalogue, Space::kLive}) {
    const std::string full = keys.Full(space, "models/\xff");
    CHECK(full > keys.begin());
    CHECK(full < keys.end());
    const auto parsed = keys.Parse(full);
    REQUIRE(parsed);
    CHECK(parsed->first == space);
    CHECK(parsed->second == "models/\xff");
  }
  CHECK(keys.tick() > keys.begin());
  CHECK(keys.tick() < keys.end());
}

TEST_CASE("EtcdKeys: keys of others are none", "[registry][store][etcd]") {
  const EtcdKeys keys("x");
  CHECK_FALSE(keys.Parse(keys.tick()));
  CHECK_FALSE(keys.Parse("/x/other/catalogue/models/a"));
  const std::string neighbour = EtcdKeys("x-y").Full(Space::kLive, "a");
  CHECK((neighbour < keys.begin() || neighbour >= keys.end()));
}

}  // namespace
}  // namespace torchfleet::registry
