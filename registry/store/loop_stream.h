#pragma once
// A two-way gRPC stream whose reactions come on a TaskLoop, one at a time: the
// next message is read when the last one has been dealt with, so that a slow
// loop holds the sender back instead of growing.
//
//   made ─► Open ─► on_read … ─► on_end (once, and the last)
//
// Lifecycle: held by a shared pointer, and by itself from Open until on_end.
// Its functions are called on the loop. Borrows the loop, which outlives it.

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "registry/store/task_loop.h"

namespace torchfleet::registry {

template <typename Request, typename Response>
class LoopStream : public std::enable_shared_from_this<LoopStream<Request, Response>>,
                   private grpc::ClientBidiReactor<Request, Response> {
 public:
  using Reactor = grpc::ClientBidiReactor<Request, Response>;

  LoopStream(TaskLoop& loop, std::function<void(Response&)> on_read,
             std::function<void(const grpc::Status&)> on_end)
      : loop_(loop), on_read_(std::move(on_read)), on_end_(std::move(on_end)) {}

  // Before Open.
  grpc::ClientContext& context() { return context_; }

  // `start` hands context and reactor to the stub's call.
  template <typename Start>
  void Open(Start start) {
    self_ = this->shared_from_this();
    start(context_, static_cast<Reactor*>(this));
    this->AddHold();
    this->StartRead(&incoming_);
    this->StartCall();
  }

  void Write(Request request) {
    if (ended_) return;
    outgoing_.push_back(std::move(request));
    if (outgoing_.size() == 1) this->StartWrite(&outgoing_.front());
  }
  // Everything written has left.
  bool idle() const { return outgoing_.empty(); }

  // on_end follows.
  void Cancel() { context_.TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    loop_.Post([this, ok] {
      if (ok) {
        on_read_(incoming_);
        this->StartRead(&incoming_);
        return;
      }
      ended_ = true;
      // From here on nothing is started any more.
      this->RemoveHold();
    });
  }

  void OnWriteDone(bool ok) override {
    loop_.Post([this, ok, self = this->shared_from_this()] {
      outgoing_.pop_front();
      // A stream that is broken says so to the read.
      if (ok && !ended_ && !outgoing_.empty()) this->StartWrite(&outgoing_.front());
    });
  }

  void OnDone(const grpc::Status& status) override {
    loop_.Post([this, status] {
      const auto self = std::exchange(self_, nullptr);
      on_end_(status);
    });
  }

  TaskLoop& loop_;
  const std::function<void(Response&)> on_read_;
  const std::function<void(const grpc::Status&)> on_end_;
  grpc::ClientContext context_;
  std::shared_ptr<LoopStream> self_;
  Response incoming_;
  std::deque<Request> outgoing_;
  bool ended_ = false;
};

}  // namespace torchfleet::registry
