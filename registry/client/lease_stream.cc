#include "registry/client/lease_stream.h"

#include <utility>

namespace torchfleet::registry {

LeaseStream::LeaseStream(v1::RegistryService::Stub& stub, std::mutex& mu,
                         std::condition_variable& changed)
    : mu_(mu), changed_(changed) {
  stub.async()->Announce(&context_, this);
  AddHold();
  StartRead(&incoming_);
  StartCall();
}

std::optional<v1::AnnounceResponse> LeaseStream::Ask(std::unique_lock<std::mutex>& lock,
                                                     v1::AnnounceRequest request,
                                                     absl::Duration limit) {
  if (broken_) return std::nullopt;
  outgoing_ = std::move(request);
  answer_.reset();
  written_ = false;
  StartWrite(&outgoing_);
  // The answer may come before gRPC says that the question is out.
  const auto answered = [&] { return (answer_ && written_) || broken_; };
  if (!changed_.wait_for(lock, absl::ToChronoNanoseconds(limit), answered)) {
    context_.TryCancel();
    changed_.wait(lock, [&] { return broken_; });
  }
  return std::exchange(answer_, std::nullopt);
}

std::optional<v1::AnnounceResponse::Drain> LeaseStream::TakeWish() {
  return std::exchange(wish_, std::nullopt);
}

grpc::Status LeaseStream::End(std::unique_lock<std::mutex>& lock) {
  if (!broken_) StartWritesDone();
  RemoveHold();
  changed_.wait(lock, [&] { return done_; });
  return status_;
}

void LeaseStream::OnReadDone(bool ok) {
  const std::lock_guard lock(mu_);
  if (!ok) {
    broken_ = true;
  } else {
    if (incoming_.has_drain()) {
      wish_ = incoming_.drain();
    } else {
      answer_ = incoming_;
    }
    StartRead(&incoming_);
  }
  changed_.notify_all();
}

void LeaseStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mu_);
  written_ = true;
  if (!ok) broken_ = true;
  changed_.notify_all();
}

void LeaseStream::OnDone(const grpc::Status& status) {
  const std::lock_guard lock(mu_);
  done_ = true;
  status_ = status;
  changed_.notify_all();
}

}  // namespace torchfleet::registry
