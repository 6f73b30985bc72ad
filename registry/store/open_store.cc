#include "registry/store/open_store.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "registry/store/memory_store.h"
#include "registry/store/sqlite_store.h"

namespace torchfleet::registry {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view text, const Clock& clock) {
  if (text == "memory") return std::make_unique<MemoryStore>(clock);
  if (text.starts_with(kSqlite)) {
    ASSIGN_OR_RETURN(const std::string path, SqlitePath(text));
    return SqliteStore::Open(path, clock);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("got the store '", Clip(text), "'; expected memory or sqlite:PATH"));
}

absl::StatusOr<std::string> SqlitePath(std::string_view text) {
  if (!text.starts_with(kSqlite) || text.size() == kSqlite.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("got the store '", Clip(text), "'; expected sqlite:PATH"));
  }
  return std::string(text.substr(kSqlite.size()));
}

}  // namespace torchfleet::registry
