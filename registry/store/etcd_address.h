#pragma once
// Where an etcd cluster is, and under which keys the registry keeps its own.
// Pure.
//
//   HOST:PORT[,HOST:PORT…][/PREFIX]      prefix "torchfleet" by default
//
//   /PREFIX/catalogue/<key>   the catalogue
//   /PREFIX/live/<key>        what hangs on leases
//   /PREFIX/tick              written to see a revision come by the watch

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

class EtcdKeys {
 public:
  explicit EtcdKeys(std::string_view prefix);

  std::string Full(Space space, std::string_view key) const;
  // The space and the registry's own key; nothing for a key of neither space.
  std::optional<std::pair<Space, std::string>> Parse(std::string_view full) const;

  // The range that holds all of them: from begin() on, below end().
  const std::string& begin() const { return begin_; }
  const std::string& end() const { return end_; }
  const std::string& tick() const { return tick_; }

 private:
  std::string begin_;
  std::string end_;
  std::string catalogue_;
  std::string live_;
  std::string tick_;
};

struct EtcdAddress {
  // host:port each, at least one.
  std::vector<std::string> members;
  std::string prefix;
};

// INVALID_ARGUMENT for anything of another form.
absl::StatusOr<EtcdAddress> ParseEtcdAddress(std::string_view text);

}  // namespace torchfleet::registry
