#include "cli/load/request_order.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::cli {
namespace {

std::vector<size_t> Round(RequestOrder& order, size_t count) {
  std::vector<size_t> round;
  for (size_t i = 0; i < count; ++i) round.push_back(order.Next());
  return round;
}

TEST_CASE("RequestOrder: in turns without a seed", "[cli][load]") {
  RequestOrder order(3, std::nullopt);
  CHECK(Round(order, 7) == std::vector<size_t>{0, 1, 2, 0, 1, 2, 0});
  RequestOrder one(1, std::nullopt);
  CHECK(Round(one, 3) == std::vector<size_t>{0, 0, 0});
}

TEST_CASE("RequestOrder: a seed shuffles each round anew, and each comes once in it",
          "[cli][load]") {
  RequestOrder order(50, 7);
  const auto first = Round(order, 50), second = Round(order, 50);
  CHECK(first != second);
  for (auto round : {first, second}) {
    CHECK(!std::is_sorted(round.begin(), round.end()));
    std::sort(round.begin(), round.end());
    for (size_t i = 0; i < round.size(); ++i) CHECK(round[i] == i);
  }
  RequestOrder same(50, 7), other(50, 8);
  CHECK(Round(same, 50) == first);
  CHECK(Round(other, 50) != first);
}

}  // namespace
}  // namespace torchfleet::cli
