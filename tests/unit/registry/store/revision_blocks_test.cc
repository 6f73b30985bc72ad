#include "registry/store/revision_blocks.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::registry {
namespace {

constexpr uint64_t kBlock = RevisionBlocks::kBlock;

TEST_CASE("RevisionBlocks: a life begins after all that was reserved", "[registry][store]") {
  const RevisionBlocks first(0, absl::ZeroDuration());
  CHECK(first.first() == 0);
  CHECK(first.end() == kBlock);
  const RevisionBlocks second(first.end(), absl::ZeroDuration());
  CHECK(second.first() == kBlock);
  CHECK(second.end() == 2 * kBlock);
}

TEST_CASE("RevisionBlocks: without a reservation the file's age leads on", "[registry][store]") {
  const RevisionBlocks unreserved(kBlock, absl::Seconds(50));
  CHECK(unreserved.first() == 50 * kBlock);
  const RevisionBlocks next(kBlock, absl::Seconds(51));
  CHECK(next.first() >= unreserved.end());
  // A date that was set back.
  CHECK(RevisionBlocks(kBlock, absl::Seconds(-7)).first() == kBlock);
}

TEST_CASE("RevisionBlocks: more is reserved at half, and used only then", "[registry][store]") {
  RevisionBlocks blocks(kBlock, absl::ZeroDuration());
  CHECK_FALSE(blocks.NeedsMore(kBlock));
  CHECK_FALSE(blocks.NeedsMore(kBlock + kBlock / 2));
  CHECK(blocks.NeedsMore(kBlock + kBlock / 2 + 1));
  CHECK(blocks.HasRoom(2 * kBlock - RevisionBlocks::kMargin - 1));
  CHECK_FALSE(blocks.HasRoom(2 * kBlock - RevisionBlocks::kMargin));
  blocks.Grow();
  CHECK(blocks.end() == 3 * kBlock);
  CHECK(blocks.HasRoom(2 * kBlock));
}

}  // namespace
}  // namespace torchfleet::registry
