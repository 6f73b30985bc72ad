#include "gateway/forward/kept_request.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::gateway {
namespace {

net::Slice Bytes(size_t count) { return net::Slice::Keep(std::string(count, 'b')); }

TEST_CASE("KeptRequest: keeps a request up to its limit, to the byte", "[gateway][retry]") {
  KeptRequest kept;
  kept.Add(Bytes(KeptRequest::kLimit - 10));
  kept.Add(Bytes(10));
  CHECK(kept.whole());
  kept.Add(Bytes(1));
  CHECK_FALSE(kept.whole());
}

TEST_CASE("KeptRequest: one known to be over the limit is kept for its first bytes alone",
          "[gateway][retry]") {
  KeptRequest kept;
  kept.Expect(KeptRequest::kLimit + 1);
  kept.Add(Bytes(KeptRequest::kLimitOfLarge));
  CHECK(kept.whole());
  kept.Add(Bytes(1));
  CHECK_FALSE(kept.whole());
}

TEST_CASE("KeptRequest: one known to be within the limit is kept whole", "[gateway][retry]") {
  KeptRequest kept;
  kept.Expect(KeptRequest::kLimit);
  kept.Add(Bytes(KeptRequest::kLimit));
  CHECK(kept.whole());
}

TEST_CASE("KeptRequest: while it waits all of it is kept, and then what was is sent",
          "[gateway][retry]") {
  KeptRequest kept;
  kept.Expect(KeptRequest::kLimit + 1);
  kept.KeepAll();
  kept.Add(Bytes(KeptRequest::kLimit + 1));
  CHECK(kept.whole());
  CHECK(kept.Copy().size() == KeptRequest::kLimit + 1);
  kept.Expect(KeptRequest::kLimit + 1);
  CHECK(kept.whole());
  kept.Add(Bytes(1));
  CHECK_FALSE(kept.whole());
}

TEST_CASE("KeptRequest: used again, it expects nothing of the request before", "[gateway][retry]") {
  KeptRequest kept;
  kept.Expect(KeptRequest::kLimit + 1);
  kept.Add(Bytes(KeptRequest::kLimit));
  kept.Clear();
  kept.Add(Bytes(KeptRequest::kLimit));
  CHECK(kept.whole());
}

}  // namespace
}  // namespace torchfleet::gateway
