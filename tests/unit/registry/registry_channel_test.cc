#include "registry/client/registry_channel.h"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>

namespace torchfleet::registry {
namespace {

TEST_CASE("RegistryChannel: reads one address or several", "[registry][client]") {
  CHECK(*ParseAddresses("a:1") == std::vector<std::string>{"a:1"});
  CHECK(*ParseAddresses("a:1,[::1]:9400,c:65535") ==
        std::vector<std::string>{"a:1", "[::1]:9400", "c:65535"});
  for (const char* text : {"", ",", "a", "a:", ":1", "a:0", "a:65536", "a:b", "a:1,", "a:1,,b:2"}) {
    CAPTURE(text);
    CHECK(absl::IsInvalidArgument(ParseAddresses(text).status()));
  }
  CHECK(std::string(ParseAddresses("a:1,b").status().message()).find("'b'") != std::string::npos);
}

TEST_CASE("RegistryChannel: begins with any of them, and goes round", "[registry][client]") {
  std::set<std::string> first;
  for (uint32_t seed = 0; seed < 9; ++seed) {
    RegistryChannel channel("a:1,b:2,c:3", seed);
    first.insert(channel.address());
    CHECK(channel.several());
    std::set<std::string> visited;
    for (int i = 0; i < 3; ++i) {
      visited.insert(channel.address());
      channel.Failed();
    }
    CHECK(visited.size() == 3);
  }
  CHECK(first.size() == 3);
}

TEST_CASE("RegistryChannel: one that failed is made anew", "[registry][client]") {
  RegistryChannel channel("127.0.0.1:1", 0);
  CHECK_FALSE(channel.several());
  const auto before = channel.Get();
  CHECK(channel.Get() == before);
  channel.Failed();
  CHECK(channel.Get() != before);
}

}  // namespace
}  // namespace torchfleet::registry
