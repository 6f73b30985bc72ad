#include "gateway/record/call_ids.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::gateway {
namespace {

constexpr std::string_view kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

net::Headers With(std::string_view name, std::string_view value) {
  net::Headers headers;
  headers.Add(name, value);
  return headers;
}

std::string Passed(const net::Headers& request, std::string_view name) {
  CallIds ids;
  ids.Take(request);
  net::Headers onward;
  ids.AddTo(onward);
  return std::string(onward.ValueOr(name, ""));
}

TEST_CASE("CallIds: what the caller sent is passed on", "[gateway][record]") {
  CHECK(Passed(With("traceparent", kTrace), "traceparent") == kTrace);
  CHECK(Passed(With("traceparent", kTrace), "x-request-id") == "0af7651916cd43dd8448eb211c80319c");
  CHECK(Passed(With("x-request-id", "mine"), "x-request-id") == "mine");
  const std::string later = "01" + std::string(kTrace.substr(2)) + "-more";
  CHECK(Passed(With("traceparent", later), "traceparent") == later);
}

TEST_CASE("CallIds: what is missing or not well-formed is begun", "[gateway][record]") {
  std::string upper(kTrace);
  upper[4] = 'A';
  const std::string wrong[] = {"",
                               "x",
                               upper,
                               std::string(kTrace) + "0",
                               "ff" + std::string(kTrace.substr(2)),
                               "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"};
  for (const std::string& text : wrong) {
    CAPTURE(text);
    const std::string begun = Passed(With("traceparent", text), "traceparent");
    CHECK(begun.size() == 55);
    CHECK(begun != text);
    CHECK(begun.substr(0, 3) == "00-");
    CHECK(begun.substr(52) == "-00");
    CHECK(Passed(With("traceparent", begun), "traceparent") == begun);
  }
  CHECK(Passed(With("a", "b"), "traceparent") != Passed(With("a", "b"), "traceparent"));
  for (const std::string& id : {std::string("two words"), std::string(129, 'x'), std::string()}) {
    CHECK(Passed(With("x-request-id", id), "x-request-id").size() == 32);
  }
}

}  // namespace
}  // namespace torchfleet::gateway
