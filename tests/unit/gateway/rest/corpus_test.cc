#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/rest_check.h"

namespace torchfleet::gateway::rest {
namespace {

TEST_CASE("Corpus: every input of the fuzz target is without fault", "[gateway][rest]") {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TORCHFLEET_REST_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input((std::istreambuf_iterator<char>(file)), {});
    INFO(entry.path().filename().string());
    CHECK(RestFault(input) == "");
    ++count;
  }
  CHECK(count > 10);
}

}  // namespace
}  // namespace torchfleet::gateway::rest
