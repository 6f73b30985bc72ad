#include "registry/store/etcd_store.h"

#include <utility>

#include "base/status.h"
#include "registry/store/etcd_session.h"

namespace torchfleet::registry {

absl::StatusOr<std::unique_ptr<EtcdStore>> EtcdStore::Open(const EtcdAddress& address,
                                                           const Clock& clock,
                                                           absl::Duration limit) {
  auto session = std::make_unique<EtcdSession>(address, clock);
  RETURN_IF_ERROR(session->WaitOpen(limit));
  return std::unique_ptr<EtcdStore>(new EtcdStore(std::move(session)));
}

EtcdStore::EtcdStore(std::unique_ptr<EtcdSession> session) : session_(std::move(session)) {}
EtcdStore::~EtcdStore() = default;

void EtcdStore::Commit(Transaction transaction, Committed done) {
  session_->Commit(std::move(transaction), std::move(done));
}
void EtcdStore::Grant(absl::Duration ttl, Granted done) { session_->Grant(ttl, std::move(done)); }
void EtcdStore::Renew(LeaseId lease, Done done) { session_->Renew(lease, std::move(done)); }
void EtcdStore::Revoke(LeaseId lease, Done done) { session_->Revoke(lease, std::move(done)); }
void EtcdStore::Latest(Committed done) { session_->Latest(std::move(done)); }
void EtcdStore::Follow(StoreListener& listener) { session_->Follow(listener); }
void EtcdStore::Unfollow(StoreListener& listener) { session_->Unfollow(listener); }

}  // namespace torchfleet::registry
