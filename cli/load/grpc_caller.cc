#include "cli/load/grpc_caller.h"

#include <memory>

#include "net/grpc/message_reader.h"

namespace torchfleet::cli {
namespace {

// ModelInferRequest.id is field 3; a message may have its fields in any order.
constexpr char kIdTag = 3 << 3 | 2;
constexpr size_t kLongestId = 127;  // its length is one byte

// The message's prefix, and the id.
std::string Beginning(std::string_view id, size_t rest) {
  id = id.substr(0, kLongestId);
  std::string bytes(net::kGrpcPrefixSize, '\0');
  net::WriteGrpcPrefix(2 + id.size() + rest, bytes.data());
  bytes += kIdTag;
  bytes += static_cast<char>(id.size());
  return bytes.append(id);
}

}  // namespace

GrpcCaller::GrpcCaller(net::Loop& loop, const net::Address& address,
                       const net::Channel::Options& options,
                       const std::vector<std::string>& messages, absl::Duration timeout,
                       bool keep_answers, Owner& owner)
    : timeout_(timeout),
      keep_answers_(keep_answers),
      owner_(owner),
      channel_(loop, address, options) {
  for (const std::string& message : messages) {
    // Without an owner to count: the strings outlive this.
    messages_.push_back(net::Slice::Keep(std::shared_ptr<const void>(), message));
  }
}

void GrpcCaller::Begin(uint32_t number, size_t request, std::string_view id) {
  while (calls_.size() <= number) {
    calls_.emplace_back(*this, static_cast<uint32_t>(calls_.size()));
  }
  Call& call = calls_[number];
  call.messages = 0;
  net::GrpcClientCall& sent =
      channel_.Call("/inference.GRPCInferenceService/ModelInfer", nullptr, timeout_, call);
  const net::Slice& message = messages_[request];
  if (id.empty()) {
    sent.Send(net::Slice(message));
  } else {
    sent.SendBytes(net::Slice::Keep(Beginning(id, message.size())));
    sent.SendBytes(net::Slice(message));
  }
  sent.HalfClose();
}

void GrpcCaller::Call::OnMessage(net::GrpcClientCall&, const net::Slice& message) {
  ++messages;
  if (caller.keep_answers_) answer.assign(message.bytes());
}

void GrpcCaller::Call::OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) {
  const bool ok = outcome.status.ok();
  if (ok && messages == 1) {
    return caller.owner_.OnEnd(number, {.ok = true, .answer = answer});
  }
  CallEnd end = {.code = absl::StatusCodeToString(outcome.status.code),
                 .never_sent = outcome.never_processed,
                 .message = outcome.status.message};
  if (ok) {
    end.code = "INTERNAL";
    end.message = "the answer is not one message";
  }
  caller.owner_.OnEnd(number, end);
}

}  // namespace torchfleet::cli
