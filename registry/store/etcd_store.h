#pragma once
// A store in an etcd cluster, for any number of registries before the same one.
//
// Every revision is etcd's: of the position, of both spaces' items, of epochs.
// The incarnation names the cluster and the prefix, so a watcher of one registry
// goes on at another where it was. Leases are etcd's, of whole seconds: a ttl is
// rounded up.
//
// A call is answered when the watch has told followers of it. In a cluster with
// other users' keys the revision that a call must wait for may never come by the
// watch; then a tick is written, which does.
//
// Lifecycle: as Store's. Borrows the clock.
// Thread-safe: everything happens on a thread of its own.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "registry/store/etcd_address.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

class EtcdSession;

class EtcdStore : public Store {
 public:
  // UNAVAILABLE when no member could be read from within `limit`.
  static absl::StatusOr<std::unique_ptr<EtcdStore>> Open(const EtcdAddress& address,
                                                         const Clock& clock,
                                                         absl::Duration limit = absl::Seconds(10));
  ~EtcdStore() override;

  void Commit(Transaction transaction, Committed done) override;
  void Grant(absl::Duration ttl, Granted done) override;
  void Renew(LeaseId lease, Done done) override;
  void Revoke(LeaseId lease, Done done) override;
  void Latest(Committed done) override;
  void Follow(StoreListener& listener) override;
  void Unfollow(StoreListener& listener) override;

 private:
  explicit EtcdStore(std::unique_ptr<EtcdSession> session);

  const std::unique_ptr<EtcdSession> session_;
};

}  // namespace torchfleet::registry
