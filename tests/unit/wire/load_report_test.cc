#include "wire/load_report.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::wire {
namespace {

TEST_CASE("LoadReport: what is written is read", "[wire][load]") {
  for (const LoadReport report : {LoadReport{0, 0}, LoadReport{3, 8}, LoadReport{4294967295U, 1}}) {
    const auto read = ParseLoadReport(FormatLoadReport(report));
    REQUIRE(read);
    CHECK(read->requests == report.requests);
    CHECK(read->capacity == report.capacity);
  }
}

TEST_CASE("LoadReport: another text is none", "[wire][load]") {
  for (const char* text : {"", " ", "3", "3 ", " 3", "3 8 ", "3  8", "-3 8", "3 8x", "4294967296 1",
                           "three 8", "3,8"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseLoadReport(text));
  }
}

}  // namespace
}  // namespace torchfleet::wire
