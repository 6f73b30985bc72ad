#include "registry/store/etcd_address.h"

#include <fmt/format.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace torchfleet::registry {

namespace {

constexpr char kForm[] = "expected HOST:PORT[,HOST:PORT...][/PREFIX]";

absl::Status CheckMember(std::string_view member) {
  const size_t colon = member.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(std::string(member.substr(colon + 1)), &port) || port == 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is no member of an etcd cluster; {}", Clip(member), kForm));
  }
  return absl::OkStatus();
}

bool IsPrefixLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '/';
}

absl::Status CheckPrefix(std::string_view prefix) {
  bool good = !prefix.empty() && prefix.size() <= 128 && prefix.front() != '/' &&
              prefix.back() != '/' && prefix.find("//") == std::string_view::npos;
  for (const char c : prefix) good = good && IsPrefixLetter(c);
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "'{}' is no prefix for the registry's keys in etcd; expected letters, digits, '-', '_', '.' "
      "and single slashes between them, 128 at most",
      Clip(prefix)));
}

}  // namespace

EtcdKeys::EtcdKeys(std::string_view prefix)
    // '0' follows '/'.
    : begin_(fmt::format("/{}/", prefix)),
      end_(fmt::format("/{}0", prefix)),
      catalogue_(begin_ + "catalogue/"),
      live_(begin_ + "live/"),
      tick_(begin_ + "tick") {}

std::string EtcdKeys::Full(Space space, std::string_view key) const {
  return std::string(space == Space::kCatalogue ? catalogue_ : live_).append(key);
}

std::optional<std::pair<Space, std::string>> EtcdKeys::Parse(std::string_view full) const {
  if (full.starts_with(catalogue_)) {
    return std::pair(Space::kCatalogue, std::string(full.substr(catalogue_.size())));
  }
  if (full.starts_with(live_)) {
    return std::pair(Space::kLive, std::string(full.substr(live_.size())));
  }
  return std::nullopt;
}

absl::StatusOr<EtcdAddress> ParseEtcdAddress(std::string_view text) {
  EtcdAddress address{.members = {}, .prefix = "torchfleet"};
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    address.prefix = text.substr(slash + 1);
    RETURN_IF_ERROR(CheckPrefix(address.prefix));
    text = text.substr(0, slash);
  }
  address.members = absl::StrSplit(std::string(text), ',');
  for (const std::string& member : address.members) RETURN_IF_ERROR(CheckMember(member));
  return address;
}

}  // namespace torchfleet::registry
