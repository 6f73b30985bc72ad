#pragma once
// One REST call: read whole, made into the gRPC call that it stands for, and
// that call's answer into a document.
//
//   headers ─► body ─► [model's metadata ─►] inner call ─► answer, or events
//      └── wrong route, verb, encoding, size: answered at once
//
// A body is held until it is whole, up to the limit of a message; what all calls
// of a loop hold together is bounded too (503 beyond). Large tensors of the
// binary extension go on by reference. Events are sent as the inner call's answers
// come; what fails before the first is an error like any other, and after it the
// last event.
//
// Lifecycle: Begin for each call; used again once its stream is closed. Only on
// its loop's thread.

#include <memory>
#include <string>
#include <vector>

#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/protocol/grpc_entry.h"
#include "gateway/protocol/inner_call.h"
#include "gateway/protocol/rest/rest_codec.h"
#include "gateway/protocol/rest/routes.h"
#include "gateway/protocol/web/cross_origin.h"
#include "gateway/protocol/web/model_specs.h"
#include "gateway/record/access_log.h"
#include "gateway/record/call_record.h"
#include "net/buffer/free_list.h"
#include "net/grpc/message_reader.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

class RestCallPool;

class RestCall final : public net::StreamHandler, private InnerCall::Caller {
 public:
  explicit RestCall(RestCallPool& pool);

  void Begin(net::Stream& caller) { caller_ = &caller; }

 private:
  void OnHeaders(net::Stream& stream, bool end) override;
  void OnBody(net::Stream& stream, const net::Slice& bytes) override;
  void OnEnd(net::Stream& stream) override;
  void OnSent(net::Stream& stream, size_t count) override;
  void OnClosed(net::Stream& stream, net::CloseCode code) override;

  void OnAnswer(InnerCall&, const net::Headers&) override {}
  void OnAnswerBytes(InnerCall& call, const net::Slice& bytes) override;
  void OnAnswerEnd(InnerCall& call, const net::Headers& trailers) override;
  void OnAnswerBroken(InnerCall& call) override;
  // The body was given back to the caller as it came.
  void OnConsumed(InnerCall&, size_t) override {}

  // Whether it runs a model.
  bool IsInference() const;
  // Whether `piece`, of those that lie in `whole`, is not copied.
  static bool GoesByReference(const net::Slice& whole, std::string_view piece);

  // Whether the call may go on to its body.
  bool CheckRequest(const net::Headers& headers);
  void Gather(const net::Slice& bytes);
  void Run();
  void RunInference();
  void RunModelReady(const FleetSnapshot& fleet);
  void RunControl();
  void AskForSpec();
  void Infer(const rest::ModelSpec* spec);
  void SendRequest(const rest::RestRequest& request);
  rest::RestCall CodecCall() const;
  void StartInner(InnerCall& call, std::string_view method);

  // generate_stream: answers of ModelStreamInfer go on as they come.
  bool Streams() const { return route_.action == rest::Action::kGenerateStream; }
  void SendEvent(const net::Slice& message);
  void BeginEvents();
  void SendPart(std::string_view text);
  void EndEvents();
  void FailEvents(absl::StatusCode status, std::string_view document);

  void AnswerInference();
  void AnswerSpec();
  // The whole answer, from pieces of which those inside `whole` go by reference.
  void Answer(int code, std::string_view content_type, std::span<const std::string_view> pieces,
              size_t size, const net::Slice& whole);
  void AnswerDocument(int code, std::string_view json);
  void Fail(const absl::Status& status);
  void Fail(int code, const absl::Status& status, std::string_view retry_after = {});
  void Finish(int code, absl::StatusCode status, size_t size);

  RestCallPool& pool_;
  InnerCall spec_call_;
  InnerCall call_;
  net::MessageReader reader_;
  net::Stream* caller_ = nullptr;

  rest::RestRoute route_;
  rest::AnswerForm form_;
  std::string_view allow_;
  net::Slice body_;
  std::string gathered_;  // where the body came in several pieces
  size_t held_ = 0;
  net::Slice message_;  // the inner call's answer
  std::optional<size_t> inference_header_length_;
  CallRecord record_;
  Instant began_;
  size_t untaken_ = 0;  // of a stream's answers
  size_t sent_ = 0;     // of events
  bool takes_body_ = false;
  bool streaming_ = false;  // events have begun
  bool finished_ = false;
};

// The calls of one loop and what they share.
class RestCallPool {
 public:
  RestCallPool(net::Loop& loop, GrpcEntry& entry, const Snapshot<FleetSnapshot>& fleet,
               const CrossOrigin& origins, AccessLogLines& log)
      : loop_(loop), entry_(entry), fleet_(fleet), origins_(origins), log_(log) {}

  RestCall& Take(net::Stream& caller);

 private:
  friend class RestCall;

  // Of all bodies that wait for their end.
  static constexpr size_t kMostHeld = 512 << 20;

  net::Loop& loop_;
  GrpcEntry& entry_;
  const Snapshot<FleetSnapshot>& fleet_;
  const CrossOrigin& origins_;
  AccessLogLines& log_;
  rest::RestCodec codec_;
  ModelSpecs specs_;
  net::Headers headers_;
  size_t held_ = 0;
  net::FreeList<RestCall> free_;
};

}  // namespace torchfleet::gateway
