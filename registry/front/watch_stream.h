#pragma once
// One watcher: a cursor into the fleet's revisions and at most one message
// under way. While that message travels, changes pile up in the fleet, not
// here, and go out together afterwards.
//
// Owned by itself until gRPC is done with it.

#include <memory>
#include <mutex>
#include <string>

#include "registry/front/registry_service.h"

namespace torchfleet::registry {

class WatchStream : public grpc::ServerWriteReactor<v1::WatchResponse>,
                    public FleetListener,
                    public OpenStream {
 public:
  static WatchStream* Open(Fleet& fleet, RegistryService& service, const v1::WatchRequest& request);

  void OnChange() override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  void End() override;

 private:
  WatchStream(Fleet& fleet, RegistryService& service, const v1::WatchRequest& request)
      : fleet_(fleet),
        service_(service),
        incarnation_(request.incarnation()),
        revision_(request.after_revision()) {}

  // Writes what is new, unless a message is under way.
  void WriteNext();
  void Close(const grpc::Status& status);
  void FinishOnce();

  Fleet& fleet_;
  RegistryService& service_;
  std::shared_ptr<WatchStream> self_;
  std::mutex mu_;
  std::string incarnation_ ABSL_GUARDED_BY(mu_);
  uint64_t revision_ ABSL_GUARDED_BY(mu_);
  bool first_ ABSL_GUARDED_BY(mu_) = true;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status result_ ABSL_GUARDED_BY(mu_);
  // Belongs to the write that is under way.
  v1::WatchResponse response_;
};

}  // namespace torchfleet::registry
