#include "base/status.h"

#include "absl/strings/cord.h"
#include "base/utf8.h"

namespace torchfleet {
namespace {

constexpr char kBadFieldUrl[] = "torchfleet/bad_field";
constexpr char kRetryDelayUrl[] = "torchfleet/retry_delay";

}  // namespace

std::string Clip(std::string_view text, size_t limit) {
  constexpr std::string_view kMore = "…";
  std::string out;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const bool printable = length > 1 || (length == 1 && text[0] >= 0x20 && text[0] != 0x7F);
    const std::string_view piece = printable ? text.substr(0, length) : std::string_view("?");
    if (out.size() + piece.size() > limit) {
      // Room for the mark, without cutting a character in two.
      while (!out.empty() && out.size() + kMore.size() > limit) {
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) {
          out.pop_back();
        }
        if (!out.empty()) out.pop_back();
      }
      return out.append(kMore);
    }
    out.append(piece);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

absl::Status ClipMessage(const absl::Status& status) {
  if (status.message().size() <= kMaxErrorText) return status;
  absl::Status clipped(status.code(), Clip(std::string(status.message()), kMaxErrorText));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { clipped.SetPayload(url, payload); });
  return clipped;
}

absl::Status WithBadField(absl::Status status, std::string_view field) {
  status.SetPayload(kBadFieldUrl, absl::Cord(Clip(field, 128)));
  return status;
}

std::optional<std::string> BadField(const absl::Status& status) {
  const auto payload = status.GetPayload(kBadFieldUrl);
  if (!payload) return std::nullopt;
  return std::string(*payload);
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  status.SetPayload(kRetryDelayUrl, absl::Cord(absl::FormatDuration(delay)));
  return status;
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryDelayUrl);
  absl::Duration delay;
  if (!payload || !absl::ParseDuration(std::string(*payload), &delay)) return std::nullopt;
  return delay;
}

}  // namespace torchfleet
