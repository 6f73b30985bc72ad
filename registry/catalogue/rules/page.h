#pragma once
// Pages of a list. Pure.
//
// A token says after which place the next page begins, so that what is added or
// removed meanwhile shifts nothing, and which list it is of: a token of another
// request is an error, not a page of something else. Any replica takes it.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace torchfleet::registry {

struct Page {
  size_t size = 0;
  // The place that the page before ended with; empty for the first page.
  std::string after;
};

inline constexpr size_t kDefaultPageSize = 100;
inline constexpr size_t kMaxPageSize = 1000;
// A page ends early over this many bytes.
inline constexpr size_t kMaxPageBytes = 1 << 20;

// `list`: which list, with its filters. INVALID_ARGUMENT for a token that is not
// of it.
absl::StatusOr<Page> PageOf(uint32_t page_size, const std::string& token, std::string_view list);

std::string PageToken(std::string_view list, std::string_view last);

}  // namespace torchfleet::registry
