#include "registry/store/open_store.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "registry/store/etcd_store.h"
#include "registry/store/memory_store.h"
#include "registry/store/sqlite_store.h"

namespace torchfleet::registry {
namespace {

constexpr std::string_view kSqlite = "sqlite:", kEtcd = "etcd:";

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view text, const Clock& clock) {
  if (text == "memory") return std::make_unique<MemoryStore>(clock);
  if (text.starts_with(kSqlite)) {
    ASSIGN_OR_RETURN(const std::string path, SqlitePath(text));
    return SqliteStore::Open(path, clock);
  }
  if (text.starts_with(kEtcd)) {
    ASSIGN_OR_RETURN(const EtcdAddress address, ParseEtcdAddress(text.substr(kEtcd.size())));
    return EtcdStore::Open(address, clock);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("got the store '", Clip(text),
                   "'; expected memory, sqlite:PATH or etcd:HOST:PORT[,HOST:PORT…][/PREFIX]"));
}

absl::StatusOr<std::string> SqlitePath(std::string_view text) {
  if (!text.starts_with(kSqlite) || text.size() == kSqlite.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("got the store '", Clip(text), "'; expected sqlite:PATH"));
  }
  return std::string(text.substr(kSqlite.size()));
}

}  // namespace torchfleet::registry
