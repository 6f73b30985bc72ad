#include "gateway/record/call_ids.h"

#include <algorithm>
#include <cstdint>
#include <random>

namespace torchfleet::gateway {
namespace {

// "00-" trace "-" span "-" flags.
constexpr size_t kTraceparentSize = 55;
constexpr size_t kSpanAt = 36;
constexpr size_t kMostOfRequestId = 128;

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == text.npos; }

// A later version may be longer, and is passed on as it is.
bool IsTraceparent(std::string_view text) {
  if (text.size() < kTraceparentSize || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return false;
  }
  const std::string_view version = text.substr(0, 2), trace = text.substr(3, 32),
                         span = text.substr(kSpanAt, 16), flags = text.substr(53, 2);
  if (!IsLowerHex(version) || version == "ff") return false;
  if (version == "00" ? text.size() != kTraceparentSize
                      : text.size() > kTraceparentSize && text[kTraceparentSize] != '-') {
    return false;
  }
  return IsLowerHex(trace) && IsLowerHex(span) && IsLowerHex(flags) && !IsZero(trace) &&
         !IsZero(span);
}

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kMostOfRequestId &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void WriteRandomHex(char* to, int words) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  for (int word = 0; word < words; ++word) {
    uint64_t bits = random() | 1;  // no identifier is zero
    for (int i = 0; i < 16; ++i, bits >>= 4) *to++ = "0123456789abcdef"[bits & 15];
  }
}

}  // namespace

void CallIds::Take(const net::Headers& request) {
  const auto traceparent = request.Find("traceparent");
  if (traceparent && IsTraceparent(*traceparent)) {
    traceparent_ = *traceparent;
  } else {
    // Not sampled: whoever records traces decides that at the beginning.
    traceparent_.assign("00-00000000000000000000000000000000-0000000000000000-00");
    WriteRandomHex(traceparent_.data() + 3, 2);
    WriteRandomHex(traceparent_.data() + kSpanAt, 1);
  }
  const auto request_id = request.Find("x-request-id");
  request_id_ = request_id && IsRequestId(*request_id) ? *request_id : trace_id();
}

void CallIds::AddTo(net::Headers& request) const {
  request.Add("traceparent", traceparent_);
  request.Add("x-request-id", request_id_);
}

}  // namespace torchfleet::gateway
