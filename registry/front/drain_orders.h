#pragma once
// An operator's wish that workers drain, written to the store for whichever
// registry has their streams.
//
// Borrows store and fleet. Thread-safe; never blocks.

#include <functional>

#include "absl/status/statusor.h"
#include "registry/store/store.h"
#include "registry/watch/fleet.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

class DrainOrders {
 public:
  using Done = std::function<void(absl::StatusOr<v1::DrainResponse>)>;

  DrainOrders(Store& store, const Fleet& fleet) : store_(store), fleet_(fleet) {}

  // As RegistryService.Drain. `done` is called when the wishes are written, on a
  // thread of the store's or within the call.
  void Order(const v1::DrainRequest& request, Done done);

 private:
  struct Pending;

  void Write(const std::shared_ptr<Pending>& order, const Registration& worker, int tries_left);

  Store& store_;
  const Fleet& fleet_;
};

}  // namespace torchfleet::registry
