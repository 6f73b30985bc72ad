#include "gateway/protocol/web/rest_call.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "base/status.h"
#include "gateway/forward/method_names.h"
#include "gateway/protocol/rest/documents.h"
#include "gateway/protocol/rest/http_status.h"
#include "gateway/protocol/rest/openapi.h"
#include "gateway/protocol/web/control_action.h"
#include "gateway/protocol/web/web_fields.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {
namespace {

using rest::Action;

constexpr size_t kMaxMessage = 64 << 20;

absl::Status TooLarge() {
  return rest::TooLargeError(fmt::format("the body is over the limit of {} bytes", kMaxMessage));
}

// A call of which only the head is known: parameters come with its tensors.
class WebTraits final : public CallTraits {
 public:
  explicit WebTraits(const net::Stream& caller) : caller_(caller) {}

  std::optional<std::string_view> Header(std::string_view name) const override {
    return caller_.headers().Find(name);
  }
  std::optional<std::string_view> Parameter(std::string_view) const override {
    return std::nullopt;
  }
  uint64_t connection() const override { return caller_.connection(); }

 private:
  const net::Stream& caller_;
};

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
  if (IsInference()) return RunInference();
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
  const auto spec = pool_.specs_.Find(fleet, route_.model, route_.version, WebTraits(*caller_));
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
  const auto read = [&]() -> absl::StatusOr<rest::RestRequest> {
    switch (route_.action) {
      case Action::kInfer:
        return codec.ReadInfer(CodecCall(), spec);
      case Action::kV1Predict:
        return codec.ReadV1Predict(CodecCall(), *spec);
      case Action::kGenerate:
        return codec.ReadGenerate(CodecCall(), *spec);
      case Action::kGenerateStream:
        return codec.ReadGenerateStream(CodecCall(), *spec);
      default:
        return codec.ReadPlainPredict(CodecCall(), *spec);
    }
  };
  auto request = read();
  if (!request.ok()) return Fail(request.status());
  form_ = std::move(request->form);
  SendRequest(*request);
}

bool RestCall::IsInference() const {
  switch (route_.action) {
    case Action::kInfer:
    case Action::kV1Predict:
    case Action::kPlainPredict:
    case Action::kGenerate:
    case Action::kGenerateStream:
      return true;
    default:
      return false;
  }
}

void RestCall::SendRequest(const rest::RestRequest& request) {
  StartInner(call_, Streams() ? kStreamInferMethod : kInferMethod);
  std::string text(net::kGrpcPrefixSize, '\0');
  net::WriteGrpcPrefix(request.size, text.data());
  for (const std::string_view piece : request.pieces) {
    if (!GoesByReference(body_, piece)) {
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
  call.FillRequest(method, *caller_);
  AddTravellingFromWeb(caller_->headers(), call.request());
  record_.ids.AddTo(call.request());
  // What fails before the first answer is told with its own code.
  if (method == kStreamInferMethod) call.request().Add("triton_grpc_error", "true");
  reader_.Clear();
  call.Start(pool_.entry_, record_, /*end=*/false);
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
  untaken_ = sent_ = 0;
  takes_body_ = streaming_ = finished_ = false;
  pool_.free_.Give(*this);
}

}  // namespace torchfleet::gateway
