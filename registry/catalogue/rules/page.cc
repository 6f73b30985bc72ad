#include "registry/catalogue/rules/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "base/status.h"
#include "registry/catalogue/rules/fields.h"

namespace torchfleet::registry {
namespace {

constexpr size_t kDigestBytes = 16;

// FNV-1a: the same in every process and release.
std::string Digest(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace

absl::StatusOr<Page> PageOf(uint32_t page_size, const std::string& token, std::string_view list) {
  Page page{.size = page_size == 0 ? kDefaultPageSize : std::min<size_t>(page_size, kMaxPageSize),
            .after = {}};
  if (token.empty()) return page;
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text) || text.size() <= kDigestBytes ||
      !text.starts_with(Digest(list))) {
    return FieldError("page_token",
                      fmt::format("is '{}'; expected next_page_token of an answer to the same "
                                  "request",
                                  Clip(token)));
  }
  page.after = text.substr(kDigestBytes);
  return page;
}

std::string PageToken(std::string_view list, std::string_view last) {
  return absl::WebSafeBase64Escape(Digest(list).append(last));
}

}  // namespace torchfleet::registry
