#include "gateway/forward/quarantine.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "gateway/metrics/quarantine_page.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {
namespace {

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
  CHECK_FALSE(quarantine.Died(7, "m", Worker("a", 1), At(0)));
  CHECK(quarantine.empty());
  CHECK_FALSE(quarantine.Holds(7, At(1)));
  // Several calls with it were on their way to the one that died.
  CHECK_FALSE(quarantine.Died(7, "m", Worker("a", 1), At(1)));
  CHECK(quarantine.Died(7, "m", Worker("b", 1), At(2)));
  CHECK_FALSE(quarantine.empty());
  CHECK(quarantine.Holds(7, At(3)));
  CHECK_FALSE(quarantine.Holds(8, At(3)));
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
  CHECK_FALSE(quarantine.Died(7, "m", Worker("b", 1), At(1)));
  // The same address, but another process.
  CHECK(quarantine.Died(7, "m", Worker("b", 2), At(2)));
}

TEST_CASE("Quarantine: ends, and has an end", "[gateway][quarantine]") {
  Quarantine quarantine;
  quarantine.Died(7, "m", Worker("a", 1), At(0));
  quarantine.Died(7, "m", Worker("b", 1), At(0));
  CHECK(quarantine.Holds(7, At(599)));
  CHECK_FALSE(quarantine.Holds(7, At(600)));
  CHECK(quarantine.empty());
  for (uint64_t i = 0; i < 3 * Quarantine::kMost; ++i) {
    quarantine.Died(i, "m", Worker("a", 1), At(700));
    quarantine.Died(i, "m", Worker("b", 1), At(700));
  }
  CHECK(quarantine.List(At(701)).size() == Quarantine::kMost);
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
  quarantine.Holds(0xAB, At(2));
  CHECK(ask("GET", {"quarantine"}).body ==
        R"({"quarantine":[{"fingerprint":"00000000000000ab","model":"m","age_seconds":9,)"
        R"("refused":1,"workers":["a","b"]}]})"
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
  CHECK_FALSE(quarantine.Died(0xAB, "m", Worker("c", 1), At(10)));
}

}  // namespace
}  // namespace torchfleet::gateway
