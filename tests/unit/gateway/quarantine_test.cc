#include "gateway/forward/quarantine.h"

#include <catch2/catch_test_macros.hpp>

#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {
namespace {

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

std::string Body(const std::string& id, const std::string& bytes) {
  inference::ModelInferRequest request;
  request.set_model_name("m");
  request.set_id(id);
  request.add_raw_input_contents(bytes);
  return std::string(5, '\0') + request.SerializeAsString();
}

TEST_CASE("Fingerprint: of a request but for its id", "[gateway][quarantine]") {
  const auto one = Fingerprint(Body("a", "poison"));
  REQUIRE(one);
  CHECK(Fingerprint(Body("another, longer one", "poison")) == one);
  CHECK(Fingerprint(Body("", "poison")) == one);
  CHECK(Fingerprint(Body("a", "poisoN")) != one);
  CHECK(Fingerprint(Body("a", "poison ")) != one);
  CHECK(Fingerprint(Body("a", std::string(1 << 20, 'x'))) !=
        Fingerprint(Body("a", std::string(1 << 20, 'y'))));
  CHECK_FALSE(Fingerprint("abc"));
  CHECK_FALSE(Fingerprint(std::string(5, '\0') + "\xFF\xFF\xFF"));
}

TEST_CASE("Quarantine: after two deaths, not after one", "[gateway][quarantine]") {
  Quarantine quarantine;
  CHECK(quarantine.empty());
  CHECK_FALSE(quarantine.Died(7, "m", "a#1", At(0)));
  CHECK(quarantine.empty());
  CHECK_FALSE(quarantine.Holds(7, At(1)));
  // Several calls with it were on their way to the one that died.
  CHECK_FALSE(quarantine.Died(7, "m", "a#1", At(1)));
  CHECK(quarantine.Died(7, "m", "b#1", At(2)));
  CHECK_FALSE(quarantine.empty());
  CHECK(quarantine.Holds(7, At(3)));
  CHECK_FALSE(quarantine.Holds(8, At(3)));
  const auto list = quarantine.List(At(3));
  REQUIRE(list.size() == 1);
  CHECK(list[0].fingerprint == 7);
  CHECK(list[0].model == "m");
  CHECK(list[0].refused == 1);
  CHECK(quarantine.ToJson(At(9)) ==
        R"({"quarantine":[{"age_seconds":9,"fingerprint":"0000000000000007","model":"m",)"
        R"("refused":1}]})"
        "\n");
}

TEST_CASE("Quarantine: an answer clears a suspect", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", "a#1", At(0));
  quarantine.Cleared(7);
  CHECK_FALSE(quarantine.Died(7, "m", "b#1", At(1)));
  // The same address, but another process.
  CHECK(quarantine.Died(7, "m", "b#2", At(2)));
}

TEST_CASE("Quarantine: ends, and has an end", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", "a#1", At(0));
  quarantine.Died(7, "m", "b#1", At(0));
  CHECK(quarantine.Holds(7, At(599)));
  CHECK_FALSE(quarantine.Holds(7, At(600)));
  CHECK(quarantine.empty());
  for (uint64_t i = 0; i < 3 * Quarantine::kMost; ++i) {
    quarantine.Died(i, "m", "a#1", At(700));
    quarantine.Died(i, "m", "b#1", At(700));
  }
  CHECK(quarantine.List(At(701)).size() == Quarantine::kMost);
}

}  // namespace
}  // namespace torchfleet::gateway
