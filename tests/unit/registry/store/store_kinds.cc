#include "tests/unit/registry/store/store_kinds.h"

#include <stdexcept>

#include "base/ids.h"
#include "registry/store/etcd_store.h"
#include "registry/store/memory_store.h"
#include "registry/store/sqlite_store.h"
#include "tests/fakes/temporary_folder.h"
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

class OpenedSqlite : public OpenedStore {
 public:
  OpenedSqlite() { Open(); }
  Store& store() override { return *store_; }
  void Restart() override {
    store_.reset();
    Open();
  }

 private:
  void Open() {
    auto opened = SqliteStore::Open((folder_.path() / "registry.db").string(), clock_);
    if (!opened.ok()) throw std::runtime_error(opened.status().ToString());
    store_ = *std::move(opened);
  }

  MonotonicClock clock_;
  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
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
      {.name = "sqlite",
       .durable = true,
       .shortest_ttl = absl::Milliseconds(20),
       .open = [] { return std::make_unique<OpenedSqlite>(); }},
      {.name = "etcd",
       .durable = true,
       .live_outlives_registry = true,
       .shortest_ttl = absl::Seconds(1),
       .open = [] { return std::make_unique<OpenedEtcd>(); }},
  };
  return kinds;
}

}  // namespace torchfleet::registry
