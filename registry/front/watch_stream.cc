#include "registry/front/watch_stream.h"

namespace torchfleet::registry {

WatchStream* WatchStream::Open(Fleet& fleet, RegistryService& service,
                               const v1::WatchRequest& request) {
  auto stream = std::shared_ptr<WatchStream>(new WatchStream(fleet, service, request));
  stream->self_ = stream;
  if (service.Add(stream)) {
    fleet.Subscribe(stream);
    stream->WriteNext();
  } else {
    stream->End();
  }
  return stream.get();
}

void WatchStream::OnChange() { WriteNext(); }

void WatchStream::WriteNext() {
  {
    const std::lock_guard lock(mu_);
    if (writing_ || closing_) return;
    // The first response goes out even when it says nothing new: it tells a
    // watcher that resumed that it is up to date.
    if (!first_ && fleet_.revision() == revision_) return;
    response_ = fleet_.Since(incarnation_, revision_);
    incarnation_ = response_.incarnation();
    revision_ = response_.revision();
    first_ = false;
    writing_ = true;
  }
  // Not under the lock: gRPC may run the next callback from in here.
  StartWrite(&response_);
}

void WatchStream::OnWriteDone(bool ok) {
  bool closing = false;
  {
    const std::lock_guard lock(mu_);
    writing_ = false;
    if (!ok && !closing_) {
      closing_ = true;
      result_ = grpc::Status::CANCELLED;
    }
    closing = closing_;
  }
  if (closing) {
    FinishOnce();
  } else {
    WriteNext();
  }
}

void WatchStream::OnCancel() { Close(grpc::Status::CANCELLED); }

void WatchStream::End() {
  Close(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the registry is stopping"));
}

void WatchStream::Close(const grpc::Status& status) {
  {
    const std::lock_guard lock(mu_);
    if (closing_) return;
    closing_ = true;
    result_ = status;
    // A write that is under way comes back first and finishes.
    if (writing_) return;
  }
  FinishOnce();
}

void WatchStream::FinishOnce() {
  grpc::Status result;
  {
    const std::lock_guard lock(mu_);
    if (finished_) return;
    finished_ = true;
    result = result_;
  }
  Finish(result);
}

void WatchStream::OnDone() {
  fleet_.Unsubscribe(this);
  service_.Remove(self_);
  self_.reset();
}

}  // namespace torchfleet::registry
