#include "model-worker/execute/model_spec.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>

namespace torchfleet::worker {
namespace {

TEST_CASE("ElementCount: multiplies, and says when int64 does not hold it", "[worker][spec]") {
  constexpr int64_t kHalf = int64_t{1} << 32;
  int64_t count = -1;
  CHECK((ElementCount({}, &count) && count == 1));
  CHECK((ElementCount({2, 3, 4}, &count) && count == 24));
  CHECK((ElementCount({1, std::numeric_limits<int64_t>::max()}, &count)));
  CHECK_FALSE(ElementCount({kHalf, kHalf}, &count));
  CHECK_FALSE(ElementCount({2, std::numeric_limits<int64_t>::max()}, &count));
  // Nothing is nothing, however large the other dimensions are.
  CHECK((ElementCount({kHalf, kHalf, 0}, &count) && count == 0));
  CHECK((ElementCount({0, kHalf, kHalf}, &count) && count == 0));
}

TEST_CASE("RequestsAtOnce: a row for each place in each instance's batch", "[worker][spec]") {
  ModelSpec spec;
  CHECK(RequestsAtOnce(spec) == 1);
  spec.instances = 3;
  CHECK(RequestsAtOnce(spec) == 3);
  spec.max_batch_size = 8;
  CHECK(RequestsAtOnce(spec) == 24);
}

TEST_CASE("ShapeText: short, whatever a caller sent", "[worker][spec]") {
  CHECK(ShapeText({}) == "[]");
  CHECK(ShapeText({-1, 784}) == "[-1,784]");
  CHECK(ShapeText(std::vector<int64_t>(1000000, 1)).size() < 64);
}

}  // namespace
}  // namespace torchfleet::worker
