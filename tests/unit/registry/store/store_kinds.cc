#include "tests/unit/registry/store/store_kinds.h"

#include "base/ids.h"
#include "registry/store/etcd_store.h"
#include "registry/store/memory_store.h"
#include "tests/unit/registry/store/etcd_cluster.h"

namespace torchfleet::registry {
namespace {

class OpenedMemory : public OpenedStore {
 public:
  Store& store() override { return *store_; }
  void Restart() override {
    store_.reset();
    store_ = std::make_unique<MemoryStore>(clock_);
  }

 private:
  MonotonicClock clock_;
  std::unique_ptr<MemoryStore> store_ = std::make_unique<MemoryStore>(clock_);
};

// One cluster for all tests, a prefix for each store.
class OpenedEtcd : public OpenedStore {
 public:
  OpenedEtcd() : prefix_(RandomId()) { Restart(); }

  Store& store() override { return *store_; }
  void Restart() override {
    static const EtcdCluster cluster;
    store_.reset();
    store_ = EtcdStore::Open(cluster.Address(prefix_), clock_).value();
  }

 private:
  const std::string prefix_;
  MonotonicClock clock_;
  std::unique_ptr<EtcdStore> store_;
};

}  // namespace

const std::vector<StoreKind>& StoreKinds() {
  static const std::vector<StoreKind> kinds = {
      {.name = "memory",
       .shortest_ttl = absl::Milliseconds(20),
       .open = [] { return std::make_unique<OpenedMemory>(); }},
      {.name = "etcd",
       .durable = true,
       .live_outlives_registry = true,
       .shortest_ttl = absl::Seconds(1),
       .open = [] { return std::make_unique<OpenedEtcd>(); }},
  };
  return kinds;
}

}  // namespace torchfleet::registry
