#include "tests/unit/registry/store/store_kinds.h"

#include "registry/store/memory_store.h"

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

}  // namespace

const std::vector<StoreKind>& StoreKinds() {
  static const std::vector<StoreKind> kinds = {
      {.name = "memory",
       .shortest_ttl = absl::Milliseconds(20),
       .open = [] { return std::make_unique<OpenedMemory>(); }},
  };
  return kinds;
}

}  // namespace torchfleet::registry
