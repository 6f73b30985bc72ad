#pragma once
// Calls of the echo method, from a thread that may wait for them.

#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/client/channel.h"

namespace torchfleet::net {

// A channel on a loop and thread of its own.
class Caller {
 public:
  explicit Caller(const Address& address, Channel::Options options = {})
      : channel_(*loop_, address, options), thread_([this] { loop_->Run(); }) {}
  ~Caller() {
    loop_->Stop();
    thread_.join();
  }

  // A call with this message; Outcome waits for its end.
  struct Call : GrpcClientHandler {
    void OnMessage(GrpcClientCall&, const Slice& message) override {
      messages.emplace_back(message.bytes());
    }
    void OnDone(GrpcClientCall&, const GrpcOutcome& end) override {
      outcome = end;
      done.count_down();
    }
    const GrpcOutcome& Outcome() {
      done.wait();
      return outcome;
    }
    std::vector<std::string> messages;
    GrpcOutcome outcome;
    std::latch done{1};
  };
  std::unique_ptr<Call> Begin(std::string message, absl::Duration timeout = absl::Seconds(20)) {
    auto call = std::make_unique<Call>();
    loop_->Post([this, call = call.get(), message = std::move(message), timeout] {
      auto& made = channel_.Call("/echo.Echo/Say", nullptr, timeout, *call);
      made.Send(message);
      made.HalfClose();
    });
    return call;
  }

 private:
  const std::unique_ptr<Loop> loop_ = *Loop::Create();
  Channel channel_;
  std::thread thread_;
};

}  // namespace torchfleet::net
