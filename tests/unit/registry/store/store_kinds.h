#pragma once
// The stores that the conformance suite runs over.

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "registry/store/store.h"

namespace torchfleet::registry {

// A store that a test has opened, empty.
class OpenedStore {
 public:
  virtual ~OpenedStore() = default;
  virtual Store& store() = 0;
  // Closes it and opens it again, as a restart of the registry does.
  virtual void Restart() = 0;
};

struct StoreKind {
  std::string name;
  // The catalogue is there after a restart.
  bool durable = false;
  // Live keys too, where leases are not this process's.
  bool live_outlives_registry = false;
  // No store ends leases sooner.
  absl::Duration shortest_ttl;
  std::function<std::unique_ptr<OpenedStore>()> open;
};

inline std::ostream& operator<<(std::ostream& out, const StoreKind& kind) {
  return out << kind.name;
}

const std::vector<StoreKind>& StoreKinds();

}  // namespace torchfleet::registry
