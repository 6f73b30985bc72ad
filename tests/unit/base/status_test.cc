#include "base/status.h"

#include <catch2/catch_test_macros.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/utf8.h"

namespace torchfleet {
namespace {

TEST_CASE("Clip: leaves short text, cuts long text with a mark", "[base][status]") {
  struct Row {
    std::string text;
    size_t limit;
    std::string clipped;
  };
  const std::vector<Row> rows = {
      {"", 8, ""},
      {"mnist", 8, "mnist"},
      {"12345678", 8, "12345678"},
      {"123456789", 8, "12345…"},
      {"ééééé", 8, "éé…"},
      {"😀😀😀", 8, "😀…"},
      {std::string("a\0b", 3), 8, "a?b"},
      {"a\nb\x7F", 8, "a?b?"},
      {"\xFFok\xC3", 8, "?ok?"},
      {"\xED\xA0\x80", 8, "???"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(Clip(row.text, row.limit) == row.clipped);
  }
}

TEST_CASE("Clip: whatever comes, it is UTF-8 without control characters and within the limit",
          "[base][status]") {
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    const size_t limit = 3 + random() % 30;
    const std::string clipped = Clip(text, limit);
    REQUIRE(clipped.size() <= limit);
    REQUIRE(IsUtf8(clipped));
    for (const char c : clipped) {
      const auto byte = static_cast<unsigned char>(c);
      REQUIRE((byte >= 0x20 && byte != 0x7F));
    }
  }
}

TEST_CASE("ClipMessage: keeps code and details", "[base][status]") {
  const absl::Status status = ClipMessage(
      WithBadField(absl::InvalidArgumentError(std::string(5000, 'x')), "inputs[x].shape"));
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message().size() <= kMaxErrorText);
  CHECK(BadField(status) == "inputs[x].shape");
}

TEST_CASE("Status details: are there when set, and only then", "[base][status]") {
  const absl::Status plain = absl::UnavailableError("busy");
  CHECK_FALSE(BadField(plain).has_value());
  CHECK_FALSE(RetryDelay(plain).has_value());
  CHECK(RetryDelay(WithRetryDelay(plain, absl::Milliseconds(1500))) == absl::Milliseconds(1500));
}

absl::Status FailsFirst(const absl::Status& first, bool& reached) {
  RETURN_IF_ERROR(first);
  reached = true;
  return absl::OkStatus();
}

absl::StatusOr<int> Doubles(const absl::StatusOr<int>& value) {
  ASSIGN_OR_RETURN(const int number, value);
  return 2 * number;
}

TEST_CASE("RETURN_IF_ERROR and ASSIGN_OR_RETURN: return what failed", "[base][status]") {
  bool reached = false;
  CHECK(FailsFirst(absl::NotFoundError("x"), reached).code() == absl::StatusCode::kNotFound);
  CHECK_FALSE(reached);
  CHECK(FailsFirst(absl::OkStatus(), reached).ok());
  CHECK(reached);
  CHECK(*Doubles(21) == 42);
  CHECK(Doubles(absl::AbortedError("x")).status().code() == absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace torchfleet
