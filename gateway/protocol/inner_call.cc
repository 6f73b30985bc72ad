#include "gateway/protocol/inner_call.h"

#include <string>
#include <utility>

#include "net/grpc/message_reader.h"

namespace torchfleet::gateway {

void InnerCall::FillRequest(std::string_view method, const net::Stream& caller) {
  connection_number_ = caller.connection();
  headers_.Clear();
  headers_.Add(":method", "POST");
  headers_.Add(":scheme", "http");
  headers_.Add(":path", method);
  headers_.Add(":authority", caller.headers().ValueOr(":authority", ""));
  headers_.Add("te", "trailers");
  headers_.Add("content-type", "application/grpc");
}

void InnerCall::Start(GrpcEntry& entry, CallRecord& record, bool end) {
  handler_ = &entry.Enter(*this, record);
  handler_->OnHeaders(*this, end);
}

void InnerCall::Body(const net::Slice& bytes) { handler_->OnBody(*this, bytes); }

void InnerCall::End() { handler_->OnEnd(*this); }

void InnerCall::SendOnly(const net::Slice& message) {
  std::string prefix(net::kGrpcPrefixSize, '\0');
  net::WriteGrpcPrefix(message.size(), prefix.data());
  Body(net::Slice::Keep(std::move(prefix)));
  if (!message.empty()) Body(message);
  End();
}

void InnerCall::Taken(size_t count) {
  waiting_ -= count;
  handler_->OnSent(*this, count);
}

void InnerCall::Close(net::CloseCode code) {
  if (handler_ == nullptr) return;
  answered_ = true;
  std::exchange(handler_, nullptr)->OnClosed(*this, code);
  headers_.Clear();
  waiting_ = 0;
  answered_ = false;
}

void InnerCall::SendHeaders(const net::Headers& headers, bool end) {
  if (answered_) return;
  if (end) return SendTrailers(headers);
  caller_.OnAnswer(*this, headers);
}

void InnerCall::Send(net::Slice body, bool) {
  if (answered_ || body.empty()) return;
  waiting_ += body.size();
  caller_.OnAnswerBytes(*this, body);
}

void InnerCall::SendCopy(std::string_view body, bool end) {
  Send(net::Slice::Keep(std::string(body)), end);
}

void InnerCall::SendTrailers(const net::Headers& trailers) {
  if (std::exchange(answered_, true)) return;
  caller_.OnAnswerEnd(*this, trailers);
}

void InnerCall::Reset(net::CloseCode) {
  if (std::exchange(answered_, true)) return;
  caller_.OnAnswerBroken(*this);
}

void InnerCall::Consumed(size_t count) {
  if (handler_ != nullptr) caller_.OnConsumed(*this, count);
}

}  // namespace torchfleet::gateway
