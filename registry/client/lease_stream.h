#pragma once
// One lease's stream, as the worker has it. A read is always under way, so a
// stream that breaks is noticed at once and not at the next renewal, and what the
// registry says unasked arrives.
//
// Lifecycle: made open; End once, before destruction. Shares the lock of whoever
// uses it, and wakes its waiters on every answer and at the end. Its functions
// need the lock, its reactions take it.

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <optional>

#include "absl/time/time.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {

class LeaseStream : public grpc::ClientBidiReactor<v1::AnnounceRequest, v1::AnnounceResponse> {
 public:
  LeaseStream(v1::RegistryService::Stub& stub, std::mutex& mu, std::condition_variable& changed);

  bool broken() const { return broken_; }

  // The answer to `request`; nothing when the stream breaks before, or when none
  // has come after `limit`, which breaks it.
  std::optional<v1::AnnounceResponse> Ask(std::unique_lock<std::mutex>& lock,
                                          v1::AnnounceRequest request, absl::Duration limit);

  // What an operator wants, if it has been said since the last time.
  bool has_wish() const { return wish_.has_value(); }
  std::optional<v1::AnnounceResponse::Drain> TakeWish();

  void Cancel() { context_.TryCancel(); }

  // How the stream ended.
  grpc::Status End(std::unique_lock<std::mutex>& lock);

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  std::mutex& mu_;
  std::condition_variable& changed_;
  grpc::ClientContext context_;
  v1::AnnounceRequest outgoing_;
  v1::AnnounceResponse incoming_;
  std::optional<v1::AnnounceResponse> answer_;
  std::optional<v1::AnnounceResponse::Drain> wish_;
  bool written_ = true;
  bool broken_ = false;
  bool done_ = false;
  grpc::Status status_;
};

}  // namespace torchfleet::registry
