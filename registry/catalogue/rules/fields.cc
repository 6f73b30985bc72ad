#include "registry/catalogue/rules/fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/status.h"
#include "base/utf8.h"

namespace torchfleet::registry {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// What a header field's name is made of (RFC 9110, 5.6.2), in lower case.
bool IsHeaderByte(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return absl::ascii_islower(c) || absl::ascii_isdigit(c) || kMarks.find(c) != kMarks.npos;
}

bool IsAliasByte(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; }

absl::Status CheckLength(std::string_view field, std::string_view text, size_t limit) {
  if (text.size() <= limit) return absl::OkStatus();
  return FieldError(
      field, fmt::format("is '{}', {} bytes; expected at most {}", Clip(text), text.size(), limit));
}

}  // namespace

absl::Status FieldError(std::string_view field, std::string_view what) {
  const std::string named = Clip(field, 2 * kMaxNameBytes);
  return WithBadField(absl::InvalidArgumentError(fmt::format("{} {}", named, what)), named);
}

absl::Status CheckText(std::string_view field, std::string_view text, size_t limit) {
  RETURN_IF_ERROR(CheckLength(field, text, limit));
  if (std::any_of(text.begin(), text.end(), IsControl) || !IsUtf8(text)) {
    return FieldError(
        field, fmt::format("is '{}'; expected UTF-8 without control characters", Clip(text)));
  }
  return absl::OkStatus();
}

absl::Status CheckName(std::string_view field, std::string_view name) {
  if (name.empty()) return FieldError(field, "is empty; expected a model's name");
  RETURN_IF_ERROR(CheckText(field, name));
  if (name.find_first_of("/\\") != name.npos || name.front() == '.') {
    return FieldError(
        field,
        fmt::format("is '{}'; expected a name without slashes that does not begin with a dot",
                    Clip(name)));
  }
  return absl::OkStatus();
}

absl::Status CheckVersion(std::string_view field, std::string_view version) {
  if (VersionNumber(version) >= 1 && std::to_string(VersionNumber(version)) == version) {
    return absl::OkStatus();
  }
  return FieldError(field, fmt::format("is '{}'; expected a whole number over 0", Clip(version)));
}

absl::Status CheckAlias(std::string_view field, std::string_view alias) {
  RETURN_IF_ERROR(CheckLength(field, alias, kMaxNameBytes));
  if (!alias.empty() && absl::ascii_isalpha(alias.front()) &&
      std::all_of(alias.begin(), alias.end(), IsAliasByte)) {
    return absl::OkStatus();
  }
  return FieldError(
      field, fmt::format("names the alias '{}'; expected a letter, then letters, digits, '-', '_' "
                         "and '.'",
                         Clip(alias)));
}

absl::Status CheckLabels(std::string_view field, const Labels& labels) {
  if (labels.size() > kMaxLabels) {
    return FieldError(field,
                      fmt::format("has {} labels; expected at most {}", labels.size(), kMaxLabels));
  }
  for (const auto& [key, value] : labels) {
    const std::string entry = fmt::format("{}[{}]", field, Clip(key));
    if (key.empty()) return FieldError(entry, "has an empty key; expected a label's name");
    RETURN_IF_ERROR(CheckText(entry, key));
    RETURN_IF_ERROR(CheckText(entry, value));
  }
  return absl::OkStatus();
}

absl::Status CheckHeader(std::string_view field, std::string_view name) {
  RETURN_IF_ERROR(CheckLength(field, name, kMaxNameBytes));
  if (!name.empty() && std::all_of(name.begin(), name.end(), IsHeaderByte)) {
    return absl::OkStatus();
  }
  return FieldError(field, fmt::format("is '{}'; expected a header field's name in lower case, "
                                       "such as x-user",
                                       Clip(name)));
}

int64_t VersionNumber(std::string_view version) {
  int64_t number = 0;
  return absl::SimpleAtoi(absl::string_view(version.data(), version.size()), &number) ? number : 0;
}

}  // namespace torchfleet::registry
