#pragma once
// What names, labels, versions and header fields of the catalogue may be.
//
// Pure. Errors are INVALID_ARGUMENT; their text begins with the field.

#include <google/protobuf/map.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace torchfleet::registry {

// Of names, aliases, labels and header fields.
inline constexpr size_t kMaxNameBytes = 256;
inline constexpr size_t kMaxLabels = 64;
// Of a model or a route as stored: with its entry in the audit trail it fits
// into one transaction of any store.
inline constexpr size_t kMaxStoredBytes = 256 << 10;

using Labels = google::protobuf::Map<std::string, std::string>;

// INVALID_ARGUMENT: "<field> <what>".
absl::Status FieldError(std::string_view field, std::string_view what);

// A model's name, as the gateway takes it from callers.
absl::Status CheckName(std::string_view field, std::string_view name);
// A whole number over 0 that fits into 63 bits, without leading zeros.
absl::Status CheckVersion(std::string_view field, std::string_view version);
absl::Status CheckAlias(std::string_view field, std::string_view alias);
absl::Status CheckLabels(std::string_view field, const Labels& labels);
// A header field's name, in lower case.
absl::Status CheckHeader(std::string_view field, std::string_view name);
// UTF-8 of at most `limit` bytes without control characters; may be empty.
absl::Status CheckText(std::string_view field, std::string_view text, size_t limit = kMaxNameBytes);

// The number of a version that CheckVersion took.
int64_t VersionNumber(std::string_view version);

}  // namespace torchfleet::registry
