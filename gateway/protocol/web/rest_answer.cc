// How a RestCall answers: a document, tensors, a stream of events, or an error.

#include <fmt/format.h>

#include <utility>

#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/protocol/rest/http_status.h"
#include "gateway/protocol/web/control_action.h"
#include "gateway/protocol/web/rest_call.h"
#include "gateway/route/route_policy.h"
#include "net/grpc/status.h"
#include "wire/stream_response.h"

namespace torchfleet::gateway {
namespace {

constexpr std::string_view kJson = "application/json";
// Pieces over this go by reference.
constexpr size_t kWorthReference = 16 << 10;
// Of a caller's events; beyond, no more of the answer is taken.
constexpr size_t kMostUnread = 1 << 20;

absl::Status StatusOf(const net::Headers& trailers) {
  const net::GrpcStatus status = net::ReadGrpcStatus(trailers, "200");
  return FromGrpc({static_cast<grpc::StatusCode>(status.code), status.message, status.details});
}

}  // namespace

bool RestCall::GoesByReference(const net::Slice& whole, std::string_view piece) {
  const std::string_view bytes = whole.bytes();
  return piece.size() >= kWorthReference && piece.data() >= bytes.data() &&
         piece.data() + piece.size() <= bytes.data() + bytes.size();
}

void RestCall::OnAnswerBytes(InnerCall& call, const net::Slice& bytes) {
  const bool events = Streams() && &call == &call_;
  if (!finished_) {
    const absl::Status status =
        reader_.Take(bytes, pool_.loop_.blocks(), [&](const net::Slice& message) {
          if (events) return SendEvent(message);
          message_ = net::Slice(message);
        });
    if (!status.ok()) Fail(absl::InternalError("the model's answer is over the limit"));
  }
  if (!events || finished_) return call.Taken(bytes.size());
  untaken_ += bytes.size();
  if (caller_->waiting() <= kMostUnread) call.Taken(std::exchange(untaken_, 0));
}

void RestCall::OnSent(net::Stream& stream, size_t) {
  if (untaken_ == 0 || stream.waiting() > kMostUnread) return;
  call_.Taken(std::exchange(untaken_, 0));
}

void RestCall::OnAnswerEnd(InnerCall& call, const net::Headers& trailers) {
  if (finished_) return;
  if (const absl::Status status = StatusOf(trailers); !status.ok()) return Fail(status);
  if (&call == &spec_call_) return AnswerSpec();
  if (Streams()) return EndEvents();
  if (IsInference()) return AnswerInference();
  const auto document = ControlDocumentOf(route_, message_.bytes());
  if (!document.ok()) return Fail(document.status());
  AnswerDocument(document->code, document->json);
}

void RestCall::OnAnswerBroken(InnerCall&) {
  Fail(WithRetryDelay(absl::UnavailableError("the call broke off; try again later"), kRetryDelay));
}

void RestCall::AnswerSpec() {
  inference::ModelMetadataResponse metadata;
  const std::string_view bytes = message_.bytes();
  if (!metadata.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(absl::InternalError("the model's metadata could not be read"));
  }
  message_ = net::Slice();
  const rest::ModelSpec spec = SpecOf(metadata);
  if (route_.model.empty()) route_.model = spec.name;
  Infer(&spec);
}

void RestCall::AnswerInference() {
  const auto answer = pool_.codec_.WriteAnswer(message_.bytes(), form_);
  if (!answer.ok()) return Fail(answer.status());
  inference_header_length_ = answer->inference_header_length;
  Answer(200, answer->content_type, answer->pieces, answer->size, message_);
}

void RestCall::SendEvent(const net::Slice& message) {
  if (finished_) return;
  const auto response = wire::ParseStreamResponse(message.bytes());
  if (!response.ok()) return Fail(absl::InternalError("a model's answer could not be read"));
  const auto event = pool_.codec_.WriteAnswer(response->infer_response, form_);
  if (!event.ok()) return Fail(event.status());
  if (event->size == 0) return;
  BeginEvents();
  for (const std::string_view piece : event->pieces) SendPart(piece);
}

void RestCall::BeginEvents() {
  if (std::exchange(streaming_, true)) return;
  net::Headers& headers = pool_.headers_;
  headers.Clear();
  headers.Add(":status", "200");
  headers.Add("content-type", "text/event-stream");
  headers.Add("cache-control", "no-cache");
  headers.Add("x-request-id", record_.ids.request_id());
  pool_.origins_.AddTo(caller_->headers(), headers);
  caller_->SendHeaders(headers, /*end=*/false);
}

void RestCall::SendPart(std::string_view text) {
  caller_->SendCopy(text, /*end=*/false);
  sent_ += text.size();
}

void RestCall::EndEvents() {
  BeginEvents();
  caller_->Send(net::Slice(), /*end=*/true);
  Finish(200, absl::StatusCode::kOk, sent_);
}

// The code has gone out already: the last event says it.
void RestCall::FailEvents(absl::StatusCode status, std::string_view document) {
  SendPart("data: ");
  SendPart(document);
  SendPart("\n\n");
  caller_->Send(net::Slice(), /*end=*/true);
  Finish(200, status, sent_);
}

void RestCall::AnswerDocument(int code, std::string_view json) {
  const std::string_view pieces[] = {json};
  Answer(code, kJson, pieces, json.size(), net::Slice());
}

void RestCall::Answer(int code, std::string_view content_type,
                      std::span<const std::string_view> pieces, size_t size,
                      const net::Slice& whole) {
  net::Headers& headers = pool_.headers_;
  headers.Clear();
  headers.Add(":status", fmt::format_int(code).c_str());
  if (size > 0) headers.Add("content-type", content_type);
  headers.Add("content-length", fmt::format_int(size).c_str());
  if (inference_header_length_) {
    headers.Add("inference-header-content-length",
                fmt::format_int(*inference_header_length_).c_str());
  }
  headers.Add("x-request-id", record_.ids.request_id());
  pool_.origins_.AddTo(caller_->headers(), headers);
  const bool bodiless = size == 0 || caller_->headers().ValueOr(":method", "") == "HEAD";
  caller_->SendHeaders(headers, bodiless);
  size_t left = bodiless ? 0 : size;
  for (const std::string_view piece : pieces) {
    if (piece.empty() || left == 0) continue;
    left -= piece.size();
    if (GoesByReference(whole, piece)) {
      caller_->Send(net::Slice(whole.block(), piece), /*end=*/left == 0);
    } else {
      caller_->SendCopy(piece, /*end=*/left == 0);
    }
  }
  Finish(code, absl::StatusCode::kOk, bodiless ? 0 : size);
}

void RestCall::Fail(const absl::Status& status) {
  const rest::HttpError error = rest::HttpErrorOf(status);
  Fail(error.code, status, error.retry_after);
}

void RestCall::Fail(int code, const absl::Status& status, std::string_view retry_after) {
  if (finished_ || caller_ == nullptr) return;
  const std::string document = rest::ErrorDocument(std::string(status.message()));
  if (streaming_) return FailEvents(status.code(), document);
  net::Headers& headers = pool_.headers_;
  headers.Clear();
  headers.Add(":status", fmt::format_int(code).c_str());
  headers.Add("content-type", kJson);
  headers.Add("content-length", fmt::format_int(document.size()).c_str());
  if (!retry_after.empty()) headers.Add("retry-after", retry_after);
  if (!allow_.empty() && code == 405) headers.Add("allow", allow_);
  headers.Add("x-request-id", record_.ids.request_id());
  pool_.origins_.AddTo(caller_->headers(), headers);
  const bool bodiless = caller_->headers().ValueOr(":method", "") == "HEAD";
  caller_->SendHeaders(headers, bodiless);
  if (!bodiless) caller_->SendCopy(document, /*end=*/true);
  Finish(code, status.code(), document.size());
}

void RestCall::Finish(int code, absl::StatusCode status, size_t size) {
  finished_ = true;
  record_.http_status = code;
  record_.code = status;
  record_.bytes_in = held_;
  record_.bytes_out = size;
  record_.duration = pool_.loop_.now() - began_;
  if (record_.model.empty()) record_.model = route_.model;
  pool_.log_.Add(record_);
}

}  // namespace torchfleet::gateway
