#pragma once
// One worker's lease stream: a message in, its answer out, in turn.
//
// Owned by itself until gRPC is done with it. A broken stream leaves the lease
// to run on; only `leave` ends it here.

#include <memory>
#include <mutex>
#include <string>

#include "registry/front/registry_service.h"

namespace torchfleet::registry {

class AnnounceStream : public grpc::ServerBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse>,
                       public OpenStream {
 public:
  // Begins to read. Returns the reactor for gRPC.
  static AnnounceStream* Open(Fleet& fleet, RegistryService& service);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;
  void End() override;

 private:
  AnnounceStream(Fleet& fleet, RegistryService& service) : fleet_(fleet), service_(service) {}

  absl::Status Answer();
  void FinishOnce(const grpc::Status& status);

  Fleet& fleet_;
  RegistryService& service_;
  std::shared_ptr<AnnounceStream> self_;
  std::mutex mu_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  // Read and written by one callback at a time.
  std::string worker_id_;
  v1::AnnounceRequest request_;
  v1::AnnounceResponse response_;
};

}  // namespace torchfleet::registry
