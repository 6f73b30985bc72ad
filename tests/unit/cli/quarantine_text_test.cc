#include "cli/quarantine/quarantine_text.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

namespace torchfleet::cli {
namespace {

std::string Page(int age, int refused, const std::string& worker) {
  return R"({"quarantine":[{"fingerprint":"00000000000000ab","model":"m","age_seconds":)" +
         std::to_string(age) + R"(,"refused":)" + std::to_string(refused) +
         R"(,"workers":["h:1",")" + worker + R"("]}]})";
}

TEST_CASE("Quarantine text: what several gateways hold is one list", "[cli][quarantine]") {
  QuarantinedRequests requests;
  CHECK(QuarantineAsTable(requests) == "nothing is in quarantine\n");
  REQUIRE(AddQuarantinePage("a", Page(61, 2, "h:2"), requests).ok());
  REQUIRE(AddQuarantinePage("b", Page(9, 1, "h:3"), requests).ok());
  CHECK(QuarantineAsTable(requests) ==
        "FINGERPRINT       MODEL  AGE   REFUSED  DIED\n"
        "00000000000000ab  m      1m1s  3        h:1,h:2,h:3\n");
  CHECK(nlohmann::json::parse(QuarantineAsJson(requests)) ==
        nlohmann::json::parse(R"({"quarantine":[{"fingerprint":"00000000000000ab","model":"m",
            "age_seconds":61,"refused":3,"workers":["h:1","h:2","h:3"],"gateways":2}]})"));
}

TEST_CASE("Quarantine text: what is no page is an error, and adds nothing", "[cli][quarantine]") {
  QuarantinedRequests requests;
  for (const char* page : {"", "x", "{}", R"({"quarantine":[{"fingerprint":"ab"}]})"}) {
    CHECK(AddQuarantinePage("h:1", page, requests).message() ==
          "h:1 answered with what is no quarantine; expected a gateway's operators' port");
  }
  CHECK(requests.empty());
}

TEST_CASE("Quarantine text: a fingerprint has 16 hexadecimal digits", "[cli][quarantine]") {
  CHECK(IsFingerprint("00c0ffee00C0FFEE"));
  for (const char* text :
       {"", "00c0ffee00c0ffe", "00c0ffee00c0ffee0", "00c0ffee00c0ffeg", "../../../workers"}) {
    CHECK_FALSE(IsFingerprint(text));
  }
}

}  // namespace
}  // namespace torchfleet::cli
