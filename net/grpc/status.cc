#include "net/grpc/status.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "absl/strings/escaping.h"

namespace torchfleet::net {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

// Percent-encoding of all but printable ASCII without '%', and of blanks at the
// ends, which no header field may have.
std::string EncodePercent(std::string_view text) {
  std::string encoded;
  encoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const bool end = i == 0 || i + 1 == text.size();
    if (byte >= (end ? 0x21 : 0x20) && byte <= 0x7e && byte != '%') {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// What is no encoding stays as it is.
std::string DecodePercent(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

absl::StatusCode FromHttp(std::string_view status) {
  if (status == "400") return absl::StatusCode::kInternal;
  if (status == "401") return absl::StatusCode::kUnauthenticated;
  if (status == "403") return absl::StatusCode::kPermissionDenied;
  if (status == "404") return absl::StatusCode::kUnimplemented;
  if (status == "429" || status == "502" || status == "503" || status == "504") {
    return absl::StatusCode::kUnavailable;
  }
  return absl::StatusCode::kUnknown;
}

struct Unit {
  char letter;
  absl::Duration duration;
};
const std::array<Unit, 6>& Units() {
  static const std::array<Unit, 6> units = {{{'n', absl::Nanoseconds(1)},
                                             {'u', absl::Microseconds(1)},
                                             {'m', absl::Milliseconds(1)},
                                             {'S', absl::Seconds(1)},
                                             {'M', absl::Minutes(1)},
                                             {'H', absl::Hours(1)}}};
  return units;
}

}  // namespace

void AddGrpcStatus(const GrpcStatus& status, Headers& trailers) {
  char digits[4];
  const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<int>(status.code)).ptr;
  trailers.Add("grpc-status", {digits, static_cast<size_t>(end - digits)});
  if (!status.message.empty()) trailers.Add("grpc-message", EncodePercent(status.message));
  if (!status.details.empty()) {
    trailers.Add("grpc-status-details-bin", EncodeBase64(status.details));
  }
}

GrpcStatus ReadGrpcStatus(const Headers& trailers, std::string_view http_status) {
  const auto text = trailers.Find("grpc-status");
  if (!text) {
    return {.code = http_status == "200" ? absl::StatusCode::kUnknown : FromHttp(http_status),
            .message = "the answer came without a grpc-status"};
  }
  int code = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), code);
  if (error != std::errc() || end != text->data() + text->size() || code < 0 || code > 16) {
    code = static_cast<int>(absl::StatusCode::kUnknown);
  }
  return {.code = static_cast<absl::StatusCode>(code),
          .message = DecodePercent(trailers.ValueOr("grpc-message", "")),
          .details = DecodeBase64(trailers.ValueOr("grpc-status-details-bin", "")).value_or("")};
}

std::optional<absl::Duration> ParseGrpcTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  int64_t number = 0;
  const char* const last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc() || end != last || text.front() == '-') return std::nullopt;
  for (const Unit& unit : Units()) {
    if (unit.letter == text.back()) return number * unit.duration;
  }
  return std::nullopt;
}

std::string FormatGrpcTimeout(absl::Duration timeout) {
  constexpr int64_t kMost = 99999999;
  timeout = std::max(timeout, absl::Nanoseconds(1));
  for (const Unit& unit : Units()) {
    absl::Duration rest;
    const int64_t number = absl::IDivDuration(timeout, unit.duration, &rest);
    if (number <= kMost) return std::to_string(number) + unit.letter;
  }
  return std::to_string(kMost) + "H";
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  absl::Base64Escape({bytes.data(), bytes.size()}, &text);
  return text;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape({text.data(), text.size()}, &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace torchfleet::net
