#include "gateway/forward/quarantine.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "gateway/metrics/quarantine_page.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {
namespace {

using Verdict = Quarantine::Verdict;

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

Quarantine::Process Worker(const char* address, uint64_t life) {
  return {.address = address, .life = life};
}

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
  CHECK(Verdict::kFree == quarantine.Died(7, "m", Worker("a", 1), At(0)));
  CHECK(quarantine.empty());
  CHECK(Verdict::kFree == quarantine.Ask(7, At(1)));
  // Several calls with it were on their way to the one that died.
  CHECK(Verdict::kFree == quarantine.Died(7, "m", Worker("a", 1), At(1)));
  CHECK(Verdict::kHeld == quarantine.Died(7, "m", Worker("b", 1), At(2)));
  CHECK_FALSE(quarantine.empty());
  CHECK(Verdict::kHeld == quarantine.Ask(7, At(3)));
  CHECK(Verdict::kFree == quarantine.Ask(8, At(3)));
  const auto list = quarantine.List(At(3));
  REQUIRE(list.size() == 1);
  CHECK(list[0].fingerprint == 7);
  CHECK(list[0].model == "m");
  CHECK(list[0].refused == 1);
  CHECK(list[0].workers == std::vector<std::string>{"a", "b"});
}

TEST_CASE("Quarantine: an answer clears a suspect", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", Worker("a", 1), At(0));
  quarantine.Cleared(7);
  CHECK(Verdict::kFree == quarantine.Died(7, "m", Worker("b", 1), At(1)));
  // The same address, but another process.
  CHECK(Verdict::kHeld == quarantine.Died(7, "m", Worker("b", 2), At(2)));
}

TEST_CASE("Quarantine: ends, and has an end", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", Worker("a", 1), At(0));
  quarantine.Died(7, "m", Worker("b", 1), At(0));
  CHECK(Verdict::kHeld == quarantine.Ask(7, At(599)));
  CHECK(Verdict::kFree == quarantine.Ask(7, At(600)));
  CHECK(quarantine.empty());
  for (uint64_t i = 0; i < 3 * Quarantine::kMost; ++i) {
    quarantine.Died(i, "m", Worker("a", 1), At(700));
    quarantine.Died(i, "m", Worker("b", 1), At(700));
  }
  CHECK(quarantine.List(At(701)).size() == Quarantine::kMost);
}

TEST_CASE("Quarantine: what died in a crowd is doubted, and tried", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", Worker("a", 1), At(0));
  CHECK(quarantine.Died(7, "m", Worker("b", 1), At(0.1)) == Verdict::kHeld);
  // Of another model.
  quarantine.Died(8, "n", Worker("x", 1), At(0.1));
  CHECK(quarantine.Ask(7, At(0.2)) == Verdict::kHeld);
  CHECK(quarantine.Died(7, "m", Worker("c", 1), At(0.3)) == Verdict::kDoubted);
  CHECK(quarantine.Ask(7, At(1)) == Verdict::kDoubted);
  REQUIRE(quarantine.List(At(1)).size() == 1);
  CHECK(quarantine.List(At(1))[0].doubted);
  // One at a time.
  CHECK(quarantine.Ask(7, At(1.3)) == Verdict::kTrial);
  CHECK(quarantine.Ask(7, At(1.4)) == Verdict::kDoubted);
  SECTION("it is answered") {
    quarantine.Cleared(7);
    CHECK(quarantine.Ask(7, At(1.5)) == Verdict::kFree);
    CHECK(quarantine.empty());
  }
  SECTION("another one dies of it") {
    // News of a death that is known.
    CHECK(quarantine.Died(7, "m", Worker("c", 1), At(1.5)) == Verdict::kDoubted);
    CHECK(quarantine.Died(7, "m", Worker("a", 2), At(1.5)) == Verdict::kHeld);
    CHECK(quarantine.Ask(7, At(100)) == Verdict::kHeld);
    CHECK_FALSE(quarantine.List(At(100))[0].doubted);
  }
  SECTION("nothing comes of it") { CHECK(quarantine.Ask(7, At(2.3)) == Verdict::kTrial); }
}

TEST_CASE("Quarantine: however large the crowd, one more death tells", "[gateway][quarantine]") {
  Quarantine quarantine;
  for (uint64_t life = 1; life <= 200; ++life) quarantine.Died(7, "m", Worker("a", life), At(0));
  CHECK(quarantine.Ask(7, At(1)) == Verdict::kTrial);
  CHECK(quarantine.Died(7, "m", Worker("a", 201), At(1.5)) == Verdict::kHeld);
  CHECK(quarantine.Ask(7, At(3)) == Verdict::kHeld);
}

TEST_CASE("Quarantine: deaths one after another are no crowd", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", Worker("a", 1), At(0));
  CHECK(quarantine.Died(7, "m", Worker("b", 1), At(0.1)) == Verdict::kHeld);
  CHECK(quarantine.Died(8, "m", Worker("c", 1), At(1.5)) == Verdict::kFree);
  CHECK(quarantine.Ask(7, At(5)) == Verdict::kHeld);
}

TEST_CASE("Quarantine: an operator reads it and lets a request out", "[gateway][quarantine]") {
  Quarantine quarantine;
  const auto ask = [&](const char* method, std::vector<std::string> path) {
    return QuarantinePage(quarantine, {.method = method, .path = std::move(path)}, At(9));
  };
  CHECK(ask("GET", {"quarantine"}).body == "{\"quarantine\":[]}\n");
  quarantine.Died(0xAB, "m", Worker("a", 1), At(0));
  CHECK(ask("DELETE", {"quarantine", "00000000000000ab"}).code == 404);
  quarantine.Died(0xAB, "m", Worker("b", 1), At(1));
  quarantine.Ask(0xAB, At(2));
  CHECK(ask("GET", {"quarantine"}).body ==
        R"({"quarantine":[{"fingerprint":"00000000000000ab","model":"m","age_seconds":9,)"
        R"("refused":1,"doubted":false,"workers":["a","b"]}]})"
        "\n");
  const OperatorAnswer wrong = ask("DELETE", {"quarantine", "ab"});
  CHECK(wrong.code == 400);
  CHECK(wrong.body == "{\"error\":\"the fingerprint is 'ab'; expected 16 hexadecimal digits\"}\n");
  CHECK(ask("DELETE", {"quarantine", "00000000000000zz"}).code == 400);
  CHECK(ask("DELETE", {"quarantine", "00000000000000ac"}).code == 404);
  CHECK(ask("DELETE", {"quarantine"}).code == 405);
  CHECK(ask("POST", {"quarantine", "00000000000000ab"}).code == 405);
  CHECK_FALSE(quarantine.empty());
  const OperatorAnswer released = ask("DELETE", {"quarantine", "00000000000000AB"});
  CHECK(released.code == 200);
  CHECK(released.body == "{\"released\":\"00000000000000ab\"}\n");
  CHECK(quarantine.empty());
  // It begins anew: the next death makes a suspect of it.
  CHECK(Verdict::kFree == quarantine.Died(0xAB, "m", Worker("c", 1), At(10)));
}

}  // namespace
}  // namespace torchfleet::gateway
