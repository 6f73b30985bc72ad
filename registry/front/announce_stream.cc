#include "registry/front/announce_stream.h"

#include "base/grpc_status.h"

namespace torchfleet::registry {

AnnounceStream* AnnounceStream::Open(RegistryService& service) {
  auto stream = std::shared_ptr<AnnounceStream>(new AnnounceStream(service));
  stream->self_ = stream;
  stream->session_ = std::make_shared<WorkerSession>(
      service.parts().sessions,
      [weak = std::weak_ptr(stream)](const v1::AnnounceResponse& response) {
        if (const auto self = weak.lock()) self->Send({response, false});
      });
  if (service.Add(stream)) {
    stream->StartRead(&stream->request_);
  } else {
    stream->End(absl::UnavailableError("the registry is stopping"));
  }
  return stream.get();
}

void AnnounceStream::OnReadDone(bool ok) {
  if (!ok) return FinishOnce(grpc::Status::OK);
  session_->Ask(request_, [self = self_](absl::StatusOr<v1::AnnounceResponse> response) {
    if (!response.ok()) return self->FinishOnce(ToGrpc(response.status()));
    self->Send({*std::move(response), true});
  });
}

void AnnounceStream::Send(Outgoing outgoing) {
  const std::lock_guard lock(mu_);
  if (result_) return;
  outgoing_.push_back(std::move(outgoing));
  if (outgoing_.size() == 1) StartWrite(&outgoing_.front().response);
}

void AnnounceStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mu_);
  const bool was_answer = outgoing_.front().is_answer;
  outgoing_.pop_front();
  if (!ok && !result_) result_ = grpc::Status::CANCELLED;
  if (result_) {
    Finish(*result_);
    return;
  }
  if (!outgoing_.empty()) StartWrite(&outgoing_.front().response);
  if (!was_answer) return;
  // What a registration held is not kept through its lease.
  v1::AnnounceRequest().Swap(&request_);
  StartRead(&request_);
}

// While an answer is awaited, no read shows that the stream has broken.
void AnnounceStream::OnCancel() { FinishOnce(grpc::Status::CANCELLED); }

void AnnounceStream::OnDone() {
  session_->StreamEnded();
  service_.Remove(self_);
  self_.reset();
}

void AnnounceStream::End(const absl::Status& why) { FinishOnce(ToGrpc(why)); }

void AnnounceStream::FinishOnce(const grpc::Status& status) {
  const std::lock_guard lock(mu_);
  if (result_) return;
  result_ = status;
  if (outgoing_.empty()) Finish(status);
}

}  // namespace torchfleet::registry
