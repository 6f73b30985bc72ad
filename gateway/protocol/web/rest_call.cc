#include "gateway/protocol/web/rest_call.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/forward/method_names.h"
#include "gateway/protocol/rest/documents.h"
#include "gateway/protocol/rest/http_status.h"
#include "gateway/protocol/rest/openapi.h"
#include "gateway/protocol/web/control_action.h"
#include "gateway/protocol/web/web_fields.h"
#include "gateway/route/route_policy.h"
#include "net/grpc/status.h"

namespace torchfleet::gateway {
namespace {

using rest::Action;

constexpr size_t kMaxMessage = 64 << 20;
constexpr std::string_view kJson = "application/json";
// Pieces over this go by reference.
constexpr size_t kWorthReference = 16 << 10;

bool IsInference(Action action) {
  return action == Action::kInfer || action == Action::kV1Predict ||
         action == Action::kPlainPredict;
}

bool LiesIn(const net::Slice& whole, std::string_view piece) {
  const std::string_view bytes = whole.bytes();
  return !piece.empty() && piece.data() >= bytes.data() &&
         piece.data() + piece.size() <= bytes.data() + bytes.size();
}

absl::Status TooLarge() {
  return rest::TooLargeError(fmt::format("the body is over the limit of {} bytes", kMaxMessage));
}

absl::Status StatusOf(const net::Headers& trailers) {
  const net::GrpcStatus status = net::ReadGrpcStatus(trailers, "200");
  return FromGrpc({static_cast<grpc::StatusCode>(status.code), status.message, status.details});
}

// Made once.
const std::string& OpenApi() {
  static const std::string document = rest::OpenApiDocument();
  return document;
}

}  // namespace

RestCall& RestCallPool::Take(net::Stream& caller) {
  RestCall& call = free_.Take(*this);
  call.Begin(caller);
  return call;
}

RestCall::RestCall(RestCallPool& pool)
    : pool_(pool), spec_call_(*this), call_(*this), reader_(2 * kMaxMessage) {}

void RestCall::OnHeaders(net::Stream& stream, bool end) {
  began_ = pool_.loop_.now();
  const net::Headers& headers = stream.headers();
  record_.protocol = "rest";
  record_.method.assign(headers.ValueOr(":method", ""));
  record_.method.append(" ").append(headers.ValueOr(":path", ""));
  record_.ids.Take(headers);
  if (CheckRequest(headers) && end) OnEnd(stream);
}

bool RestCall::CheckRequest(const net::Headers& headers) {
  if (CrossOrigin::IsPreflight(headers)) {
    pool_.origins_.AnswerPreflight(headers, pool_.headers_);
    caller_->SendHeaders(pool_.headers_, /*end=*/true);
    Finish(204, absl::StatusCode::kOk, 0);
    return false;
  }
  const rest::RouteMatch match =
      rest::MatchRoute(headers.ValueOr(":method", ""), headers.ValueOr(":path", ""));
  allow_ = match.allow;
  if (match.code != 200) return Fail(match.code, match.error), false;
  route_ = match.route;
  if (headers.ValueOr("content-encoding", "identity") != "identity") {
    Fail(415, absl::UnimplementedError("compressed bodies are not taken; send the body as it is"));
    return false;
  }
  const std::string_view length = headers.ValueOr("content-length", "0");
  size_t size = 0;
  std::from_chars(length.data(), length.data() + length.size(), size);
  if (size > kMaxMessage) return Fail(TooLarge()), false;
  takes_body_ = headers.ValueOr(":method", "") == "POST";
  return true;
}

void RestCall::OnBody(net::Stream& stream, const net::Slice& bytes) {
  stream.Consumed(bytes.size());
  if (!finished_ && takes_body_) Gather(bytes);
}

void RestCall::Gather(const net::Slice& bytes) {
  held_ += bytes.size();
  pool_.held_ += bytes.size();
  if (held_ > kMaxMessage) return Fail(TooLarge());
  if (pool_.held_ > RestCallPool::kMostHeld) {
    return Fail(WithRetryDelay(
        absl::UnavailableError("too many large bodies come in at once; try again later"),
        kRetryDelay));
  }
  if (held_ == bytes.size()) {
    body_ = net::Slice(bytes);
    return;
  }
  if (gathered_.empty()) gathered_.assign(std::exchange(body_, net::Slice()).bytes());
  gathered_.append(bytes.bytes());
}

void RestCall::OnEnd(net::Stream&) {
  if (finished_) return;
  if (!gathered_.empty()) body_ = net::Slice::Keep(std::exchange(gathered_, std::string()));
  Run();
}

void RestCall::Run() {
  if (route_.action == Action::kOptions) {
    net::Headers& headers = pool_.headers_;
    headers.Clear();
    headers.Add(":status", "204");
    headers.Add("allow", allow_);
    pool_.origins_.AddTo(caller_->headers(), headers);
    caller_->SendHeaders(headers, /*end=*/true);
    return Finish(204, absl::StatusCode::kOk, 0);
  }
  if (route_.action == Action::kOpenApi) return AnswerDocument(200, OpenApi());
  if (IsInference(route_.action)) return RunInference();
  const auto fleet = pool_.fleet_.Get();
  if (route_.action == Action::kModelReady && !fleet->is_fixed()) return RunModelReady(*fleet);
  RunControl();
}

void RestCall::RunModelReady(const FleetSnapshot& fleet) {
  const auto route = RoutePolicy::Choose(fleet, route_.model, route_.version);
  if (!route.ok() && !absl::IsUnavailable(route.status())) return Fail(route.status());
  AnswerDocument(route.ok() ? 200 : 503, rest::ModelReadyDocument(route_.model, route.ok()));
}

void RestCall::RunControl() {
  const auto request = ControlRequestOf(route_, body_.bytes());
  if (!request.ok()) return Fail(request.status());
  StartInner(call_, request->method);
  call_.SendOnly(net::Slice::Keep(request->message));
}

rest::RestCall RestCall::CodecCall() const {
  return {.model = route_.model,
          .version = route_.version,
          .inference_header_length = caller_->headers().Find("inference-header-content-length"),
          .body = body_.bytes()};
}

void RestCall::RunInference() {
  if (route_.action == Action::kInfer && !rest::RestCodec::IsRaw(CodecCall())) {
    return Infer(nullptr);
  }
  const auto fleet = pool_.fleet_.Get();
  if (fleet->is_fixed()) return AskForSpec();
  if (route_.model.empty()) {
    if (fleet->models.size() != 1) {
      return Fail(absl::InvalidArgumentError(
          fmt::format("{} models are served here; expected the name of one of them: "
                      "POST /models/{{name}}/predict",
                      fleet->models.size())));
    }
    route_.model = fleet->models.begin()->first;
  }
  const auto spec = pool_.specs_.Find(fleet, route_.model, route_.version);
  if (!spec.ok()) return Fail(spec.status());
  Infer(*spec);
}

// A fixed worker's models are in no snapshot: it is asked.
void RestCall::AskForSpec() {
  const auto request = ControlRequestOf(
      {.action = Action::kModelMetadata, .model = route_.model, .version = route_.version}, {});
  StartInner(spec_call_, request->method);
  spec_call_.SendOnly(net::Slice::Keep(request->message));
}

void RestCall::Infer(const rest::ModelSpec* spec) {
  rest::RestCodec& codec = pool_.codec_;
  auto request = route_.action == Action::kInfer       ? codec.ReadInfer(CodecCall(), spec)
                 : route_.action == Action::kV1Predict ? codec.ReadV1Predict(CodecCall(), *spec)
                                                       : codec.ReadPlainPredict(CodecCall(), *spec);
  if (!request.ok()) return Fail(request.status());
  form_ = std::move(request->form);
  SendRequest(*request);
}

void RestCall::SendRequest(const rest::RestRequest& request) {
  StartInner(call_, kInferMethod);
  std::string text(net::kGrpcPrefixSize, '\0');
  net::WriteGrpcPrefix(request.size, text.data());
  for (const std::string_view piece : request.pieces) {
    if (piece.size() < kWorthReference || !LiesIn(body_, piece)) {
      text.append(piece);
      continue;
    }
    if (!text.empty()) call_.Body(net::Slice::Keep(std::exchange(text, std::string())));
    call_.Body(net::Slice(body_.block(), piece));
  }
  if (!text.empty()) call_.Body(net::Slice::Keep(std::move(text)));
  body_ = net::Slice();
  call_.End();
}

void RestCall::StartInner(InnerCall& call, std::string_view method) {
  call.FillRequest(method, caller_->headers().ValueOr(":authority", ""));
  AddTravellingFromWeb(caller_->headers(), call.request());
  record_.ids.AddTo(call.request());
  reader_.Clear();
  call.Start(pool_.entry_, record_, /*end=*/false);
}

void RestCall::OnAnswerBytes(InnerCall& call, const net::Slice& bytes) {
  if (!finished_) {
    const absl::Status status =
        reader_.Take(bytes, pool_.loop_.blocks(),
                     [this](const net::Slice& message) { message_ = net::Slice(message); });
    if (!status.ok()) Fail(absl::InternalError("the model's answer is over the limit"));
  }
  call.Taken(bytes.size());
}

void RestCall::OnAnswerEnd(InnerCall& call, const net::Headers& trailers) {
  if (finished_) return;
  if (const absl::Status status = StatusOf(trailers); !status.ok()) return Fail(status);
  if (&call == &spec_call_) return AnswerSpec();
  if (IsInference(route_.action)) return AnswerInference();
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
    if (piece.size() >= kWorthReference && LiesIn(whole, piece)) {
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

void RestCall::OnClosed(net::Stream&, net::CloseCode code) {
  caller_ = nullptr;
  if (!finished_) Finish(499, absl::StatusCode::kCancelled, 0);
  call_.Close(code);
  spec_call_.Close(code);
  pool_.held_ -= std::exchange(held_, 0);
  reader_.Clear();
  body_ = net::Slice();
  message_ = net::Slice();
  gathered_.clear();
  gathered_.shrink_to_fit();
  route_ = {};
  form_ = {};
  allow_ = {};
  inference_header_length_.reset();
  record_.Clear();
  takes_body_ = finished_ = false;
  pool_.free_.Give(*this);
}

}  // namespace torchfleet::gateway
