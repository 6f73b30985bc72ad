#include "registry/front/announce_stream.h"

#include "base/grpc_status.h"
#include "base/status.h"

namespace torchfleet::registry {

AnnounceStream* AnnounceStream::Open(Fleet& fleet, RegistryService& service) {
  auto stream = std::shared_ptr<AnnounceStream>(new AnnounceStream(fleet, service));
  stream->self_ = stream;
  if (service.Add(stream)) {
    stream->StartRead(&stream->request_);
  } else {
    stream->End();
  }
  return stream.get();
}

void AnnounceStream::OnReadDone(bool ok) {
  if (!ok) return FinishOnce(grpc::Status::OK);
  const absl::Status status = Answer();
  if (!status.ok()) return FinishOnce(ToGrpc(status));
  const std::lock_guard lock(mu_);
  if (!finished_) StartWrite(&response_);
}

void AnnounceStream::OnWriteDone(bool ok) {
  if (!ok) return FinishOnce(grpc::Status::CANCELLED);
  const std::lock_guard lock(mu_);
  if (!finished_) StartRead(&request_);
}

void AnnounceStream::OnDone() {
  service_.Remove(self_);
  self_.reset();
}

void AnnounceStream::End() {
  FinishOnce(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the registry is stopping"));
}

absl::Status AnnounceStream::Answer() {
  response_.Clear();
  if (request_.has_register_()) {
    if (!worker_id_.empty()) {
      return absl::InvalidArgumentError("register came twice; it is a stream's first message only");
    }
    const auto& registration = request_.register_();
    ASSIGN_OR_RETURN(
        const uint64_t epoch,
        fleet_.Register(registration.worker(), registration.state(), registration.load()));
    worker_id_ = registration.worker().worker_id();
    response_.mutable_registered()->set_epoch(epoch);
    response_.mutable_registered()->set_ttl_ms(
        static_cast<uint32_t>(absl::ToInt64Milliseconds(fleet_.ttl())));
    return absl::OkStatus();
  }
  if (!request_.has_renew() && !request_.has_leave()) {
    return absl::InvalidArgumentError(
        "the message holds nothing; expected register, renew or leave");
  }
  if (worker_id_.empty()) {
    return absl::InvalidArgumentError("the stream's first message must be register");
  }
  ASSIGN_OR_RETURN(const uint64_t revision, request_.has_renew()
                                                ? fleet_.Renew(worker_id_, request_.renew())
                                                : fleet_.Leave(worker_id_, request_.leave()));
  (void)revision;
  response_.mutable_renewed();
  return absl::OkStatus();
}

void AnnounceStream::FinishOnce(const grpc::Status& status) {
  {
    const std::lock_guard lock(mu_);
    if (finished_) return;
    finished_ = true;
  }
  Finish(status);
}

}  // namespace torchfleet::registry
