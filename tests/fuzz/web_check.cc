#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "gateway/protocol/web/base64_reader.h"
#include "gateway/protocol/web/grpc_web_call.h"
#include "net/grpc/message_reader.h"
#include "net/grpc/status.h"
#include "net/loop/loop.h"
#include "tests/fuzz/small_check.h"

namespace torchfleet {
namespace {

using gateway::Base64Reader;
using net::Headers;
using net::Slice;

// A text's bytes up to what is wrong, and whether it is whole.
struct Decoded {
  std::string bytes;
  bool fine = true;
  bool at_boundary = true;
  bool operator==(const Decoded&) const = default;
};

Decoded Decode(std::string_view text, size_t step) {
  Base64Reader reader;
  Decoded decoded;
  for (; decoded.fine && !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    decoded.fine = reader.Take(text.substr(0, step), decoded.bytes);
  }
  decoded.at_boundary = reader.AtBoundary();
  if (!decoded.fine) decoded.at_boundary = true;
  return decoded;
}

std::string Base64Fault(std::string_view text) {
  const Decoded whole = Decode(text, text.size() + 1);
  for (const size_t step : {1, 3, 6}) {
    if (Decode(text, step) != whole) return "base64: other bytes when it is cut";
  }
  if (!whole.fine || !whole.at_boundary) return "";
  // Group by group, as Abseil reads it.
  std::string theirs;
  for (; !text.empty(); text.remove_prefix(4)) {
    const auto group = net::DecodeBase64(text.substr(0, 4));
    if (!group) return "base64: a group is taken that is none";
    theirs += *group;
  }
  return theirs == whole.bytes ? "" : "base64: other bytes than Abseil's";
}

// A worker that sends each piece of a request back, and takes its time to say
// that it is done with it: until the next.
class Echo final : public gateway::GrpcEntry, public net::StreamHandler {
 public:
  net::StreamHandler& Enter(net::Stream&, gateway::CallRecord&) override { return *this; }
  void OnHeaders(net::Stream& call, bool end) override {
    Headers answer;
    answer.Add(":status", "200");
    answer.Add("content-type", "application/grpc");
    call.SendHeaders(answer, /*end=*/false);
    if (end) OnEnd(call);
  }
  void OnBody(net::Stream& call, const Slice& bytes) override {
    call.Consumed(std::exchange(held_, bytes.size()));
    received_ += bytes.bytes();
    call.Send(Slice(bytes), /*end=*/false);
  }
  void OnEnd(net::Stream& call) override {
    call.Consumed(std::exchange(held_, 0));
    Headers trailers;
    net::AddGrpcStatus({}, trailers);
    call.SendTrailers(trailers);
  }
  void OnSent(net::Stream&, size_t count) override { sent_ += count; }
  void OnClosed(net::Stream&, net::CloseCode) override {}

  const std::string& received() const { return received_; }
  size_t sent() const { return sent_; }

 private:
  std::string received_;
  size_t held_ = 0, sent_ = 0;
};

// A browser's stream: counts what is given back, and takes all it is sent.
class Browser final : public net::Stream {
 public:
  explicit Browser(bool text) {
    headers_.Add(":method", "POST");
    headers_.Add(":path", "/inference.GRPCInferenceService/ModelInfer");
    headers_.Add("content-type", text ? "application/grpc-web-text" : "application/grpc-web+proto");
  }
  void SendHeaders(const Headers&, bool end) override { ended_ |= end; }
  void Send(Slice body, bool end) override {
    answer_ += body.bytes();
    waiting_ += body.size();
    ended_ |= end;
  }
  void SendCopy(std::string_view body, bool end) override {
    Send(Slice::Keep(std::string(body)), end);
  }
  void SendTrailers(const Headers&) override { ended_ = true; }
  void Reset(net::CloseCode) override { ended_ = true; }
  void Consumed(size_t count) override { consumed_ += count; }
  void AwaitBody(bool) override {}
  size_t waiting() const override { return waiting_; }

  // Some of what waits, or all.
  size_t Take(size_t most) {
    const size_t count = std::min(most, waiting_);
    waiting_ -= count;
    return count;
  }
  const std::string& answer() const { return answer_; }
  size_t consumed() const { return consumed_; }
  bool ended() const { return ended_; }

 private:
  std::string answer_;
  size_t waiting_ = 0, consumed_ = 0;
  bool ended_ = false;
};

// The answer's messages and its trailers apart; false when those are not its end.
bool SplitTrailers(std::string_view& body, std::string& trailers) {
  const size_t at = body.rfind("grpc-status: ");
  if (at == body.npos || at < net::kGrpcPrefixSize) return false;
  if (body[at - net::kGrpcPrefixSize] != '\x80') return false;
  trailers = body.substr(at);
  body = body.substr(0, at - net::kGrpcPrefixSize);
  return true;
}

struct WebCall {
  std::string received, answered, trailers;
  std::string fault;
};

WebCall Call(std::string_view body, size_t step, bool text) {
  const std::unique_ptr<net::Loop> loop = *net::Loop::Create();
  Echo echo;
  const gateway::CrossOrigin origins({});
  gateway::AccessLogLines log(*loop, nullptr);
  gateway::GrpcWebCallPool pool(*loop, echo, origins, log);
  Browser browser(text);
  net::StreamHandler& call = pool.Take(browser);
  const size_t size = body.size();
  call.OnHeaders(browser, size == 0);
  for (; !body.empty(); body.remove_prefix(std::min(step, body.size()))) {
    call.OnBody(browser, Slice::Keep(std::string(body.substr(0, step))));
    if (const size_t taken = browser.Take(step / 2)) call.OnSent(browser, taken);
  }
  if (size > 0) call.OnEnd(browser);
  while (const size_t taken = browser.Take(5)) call.OnSent(browser, taken);
  WebCall made{.received = echo.received(), .answered = {}, .trailers = {}, .fault = {}};
  const std::string answer = text ? Decode(browser.answer(), 1000).bytes : browser.answer();
  std::string_view frames = answer;
  const bool whole = SplitTrailers(frames, made.trailers);
  made.answered = frames;
  call.OnClosed(browser, net::CloseCode::kNoError);
  const bool fine = made.trailers.starts_with("grpc-status: 0");
  if (!whole || !browser.ended()) made.fault = "the answer has no end";
  if (fine && browser.consumed() != size) made.fault = "bytes of the request are not given back";
  if (fine && echo.sent() != made.received.size()) made.fault = "the worker is held up";
  return made;
}

std::string WebCallFault(std::string_view body, bool text) {
  const Decoded meant = text ? Decode(body, body.size() + 1) : Decoded{std::string(body)};
  const bool fine = meant.fine && meant.at_boundary;
  for (const size_t step : {body.size() + 1, size_t{1}, size_t{7}}) {
    const WebCall call = Call(body, step, text);
    if (!call.fault.empty()) return call.fault;
    if (fine && call.received != meant.bytes) return "the worker got another body";
    if (!meant.bytes.starts_with(call.received)) return "the worker got what was not sent";
    if (fine && call.answered != meant.bytes) return "the browser got another answer";
    if (call.trailers.starts_with("grpc-status: 0") != fine)
      return "another status: " + call.trailers;
  }
  return "";
}

}  // namespace

std::string WebFault(char reader, std::string_view bytes) {
  return reader == 'b' ? Base64Fault(bytes) : WebCallFault(bytes, reader == 'W');
}

}  // namespace torchfleet
