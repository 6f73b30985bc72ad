#pragma once
// ModelInfer calls over gRPC, on net/'s client.

#include <deque>
#include <string>
#include <vector>

#include "cli/load/caller.h"
#include "net/client/channel.h"

namespace torchfleet::cli {

class GrpcCaller final : public Caller {
 public:
  // `messages`: serialized ModelInferRequests without an id; they outlive it.
  // `keep_answers`: CallEnd has them.
  GrpcCaller(net::Loop& loop, const net::Address& address, const net::Channel::Options& options,
             const std::vector<std::string>& messages, absl::Duration timeout, bool keep_answers,
             Owner& owner);

  void Begin(uint32_t call, size_t request, std::string_view id) override;

 private:
  struct Call final : net::GrpcClientHandler {
    explicit Call(GrpcCaller& caller, uint32_t number) : caller(caller), number(number) {}
    void OnMessage(net::GrpcClientCall&, const net::Slice& message) override;
    void OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) override;

    GrpcCaller& caller;
    const uint32_t number;
    int messages = 0;
    std::string answer;
  };

  const absl::Duration timeout_;
  const bool keep_answers_;
  Owner& owner_;
  std::vector<net::Slice> messages_;
  std::deque<Call> calls_;  // by number
  // Last, so that calls that it ends find the rest.
  net::Channel channel_;
};

}  // namespace torchfleet::cli
