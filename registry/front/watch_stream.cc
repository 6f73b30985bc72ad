#include "registry/front/watch_stream.h"

#include "base/grpc_status.h"
#include "base/status.h"

namespace torchfleet::registry {

WatchStream* WatchStream::Open(RegistryService& service, const grpc::ByteBuffer& request) {
  auto stream = std::shared_ptr<WatchStream>(new WatchStream(service));
  stream->self_ = stream;
  WatchStream* reactor = stream.get();
  if (const absl::Status status = stream->Begin(request); !status.ok()) stream->End(status);
  return reactor;
}

absl::Status WatchStream::Begin(const grpc::ByteBuffer& bytes) {
  v1::WatchRequest request;
  grpc::ByteBuffer copy = bytes;
  if (!grpc::SerializationTraits<v1::WatchRequest>::Deserialize(&copy, &request).ok()) {
    return absl::InternalError("the request is no WatchRequest");
  }
  const auto& [store, fleet, publisher, sessions, drain_orders] = service_.parts();
  ASSIGN_OR_RETURN(WatchFilter filter, WatchFilter::Of(request));
  if (!fleet.known()) {
    return absl::UnavailableError(
        "this registry has not heard from its store yet; try another registry, or this one again");
  }
  if (!service_.Add(self_)) return absl::UnavailableError("the registry is stopping");
  cursor_ = std::make_shared<WatchCursor>();
  cursor_->position = {request.incarnation(), request.after_revision()};
  cursor_->filter = std::move(filter);
  cursor_->sink = self_;
  const bool ahead = fleet.Read([&](const FleetState& state) {
    return state.Resumable(cursor_->position) &&
           request.after_revision() > state.position().revision;
  });
  publisher.Add(cursor_);
  if (!ahead) return absl::OkStatus();
  // Either this registry is behind the one that it watched before, or the
  // store has been set back.
  store.Latest([&publisher = publisher, cursor = cursor_,
                after = request.after_revision()](const absl::StatusOr<uint64_t>& latest) {
    if (latest.ok() && *latest < after) publisher.Forget(cursor);
  });
  return absl::OkStatus();
}

void WatchStream::Write(const grpc::Slice& message) {
  const std::lock_guard lock(mu_);
  if (result_) return;
  writing_ = true;
  message_ = grpc::ByteBuffer(&message, 1);
  StartWrite(&message_);
}

void WatchStream::OnWriteDone(bool ok) {
  {
    const std::lock_guard lock(mu_);
    writing_ = false;
    message_.Clear();
    if (!ok && !result_) result_ = grpc::Status::CANCELLED;
    if (result_) return Finish(*result_);
  }
  service_.parts().publisher.Written(cursor_);
}

void WatchStream::OnCancel() { FinishOnce(grpc::Status::CANCELLED); }

void WatchStream::End(const absl::Status& why) { FinishOnce(ToGrpc(why)); }

void WatchStream::FinishOnce(const grpc::Status& status) {
  const std::lock_guard lock(mu_);
  if (result_) return;
  result_ = status;
  if (!writing_) Finish(status);
}

void WatchStream::OnDone() {
  if (cursor_) service_.parts().publisher.Remove(cursor_);
  service_.Remove(self_);
  self_.reset();
}

}  // namespace torchfleet::registry
