#pragma once
// One worker's stream: a message in, its answer out, in turn, and now and then a
// word that answers nothing. What it says is its session's business.
//
// A read is under way whenever no message is being answered, so that a stream
// which breaks is noticed at once.
//
// Owned by itself until gRPC is done with it, and by the session's callbacks.

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "registry/front/registry_service.h"

namespace torchfleet::registry {

class AnnounceStream : public grpc::ServerBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse>,
                       public OpenStream {
 public:
  // Begins to read. Returns the reactor for gRPC.
  static AnnounceStream* Open(RegistryService& service);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  void End(const absl::Status& why) override;

 private:
  struct Outgoing {
    v1::AnnounceResponse response;
    // The next message is read when it is out.
    bool is_answer = false;
  };

  explicit AnnounceStream(RegistryService& service) : service_(service) {}

  void Send(Outgoing outgoing);
  // When a write is under way, after it.
  void FinishOnce(const grpc::Status& status);

  RegistryService& service_;
  std::shared_ptr<AnnounceStream> self_;
  std::shared_ptr<WorkerSession> session_;
  // Read by one callback at a time.
  v1::AnnounceRequest request_;
  std::mutex mu_;
  // The first is under way.
  std::deque<Outgoing> outgoing_ ABSL_GUARDED_BY(mu_);
  // How it is to end, or has ended.
  std::optional<grpc::Status> result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::registry
