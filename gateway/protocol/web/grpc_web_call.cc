#include "gateway/protocol/web/grpc_web_call.h"

#include <algorithm>
#include <utility>

#include "gateway/protocol/web/web_fields.h"
#include "net/grpc/message_reader.h"
#include "net/grpc/status.h"

namespace torchfleet::gateway {
namespace {

// The first byte of a frame that holds trailers.
constexpr char kTrailersFlag = static_cast<char>(0x80);

void AppendTrailers(const net::Headers& trailers, std::string& frame) {
  frame.assign(net::kGrpcPrefixSize, '\0');
  for (const auto [name, value] : trailers) {
    if (name.starts_with(':') || name == "content-type") continue;
    frame.append(name).append(": ").append(value).append("\r\n");
  }
  net::WriteGrpcPrefix(frame.size() - net::kGrpcPrefixSize, frame.data());
  frame[0] = kTrailersFlag;
}

}  // namespace

GrpcWebCall& GrpcWebCallPool::Take(net::Stream& caller) {
  GrpcWebCall& call = free_.Take(*this);
  call.Begin(caller);
  return call;
}

size_t GrpcWebCall::Toll::Exchange(size_t count, size_t& from, size_t& to) {
  from -= std::min(from, count);
  // Four characters are three bytes, either way round at most four for three;
  // what is left over is given back with the last of them.
  const size_t back = from == 0 ? to : std::min(to, count * 3 / 4);
  to -= back;
  return back;
}

void GrpcWebCall::OnHeaders(net::Stream& stream, bool end) {
  const net::Headers& headers = stream.headers();
  began_ = pool_.loop_.now();
  record_.protocol = "grpc-web";
  record_.method = headers.ValueOr(":path", "");
  record_.ids.Take(headers);
  text_ = headers.ValueOr("content-type", "").starts_with("application/grpc-web-text");
  inner_.FillRequest(headers.ValueOr(":path", ""), stream);
  for (const std::string_view name : {"grpc-timeout", "grpc-encoding"}) {
    if (const auto value = headers.Find(name)) inner_.request().Add(name, *value);
  }
  AddTravellingFromWeb(headers, inner_.request());
  record_.ids.AddTo(inner_.request());
  inner_.Start(pool_.entry_, record_, end);
}

void GrpcWebCall::OnBody(net::Stream& stream, const net::Slice& bytes) {
  if (finished_) return stream.Consumed(bytes.size());
  if (!text_) return inner_.Body(bytes);
  std::string decoded;
  decoded.reserve(bytes.size() / 4 * 3 + 3);
  const bool fine = reader_.Take(bytes.bytes(), decoded);
  if (!fine) {
    stream.Consumed(bytes.size());
    return RefuseText();
  }
  request_.outer += bytes.size();
  request_.inner += decoded.size();
  if (!decoded.empty()) inner_.Body(net::Slice::Keep(std::move(decoded)));
}

void GrpcWebCall::RefuseText() {
  net::Headers& status = pool_.headers_;
  status.Clear();
  net::AddGrpcStatus(
      {absl::StatusCode::kInvalidArgument, "the body of a grpc-web-text call is not base64"},
      status);
  Finish(status);
}

void GrpcWebCall::OnEnd(net::Stream&) {
  if (finished_) return;
  if (!reader_.AtBoundary()) return RefuseText();
  inner_.End();
}

void GrpcWebCall::OnSent(net::Stream&, size_t count) {
  if (text_) count = Toll::Exchange(count, answer_.outer, answer_.inner);
  count = std::min(count, inner_.waiting());  // headers and trailers are ours alone
  if (count > 0) inner_.Taken(count);
}

void GrpcWebCall::OnClosed(net::Stream&, net::CloseCode code) {
  caller_ = nullptr;
  if (!finished_) Record(absl::StatusCode::kCancelled);
  inner_.Close(code);
  record_.Clear();
  reader_.Clear();
  request_ = answer_ = {};
  text_ = answering_ = finished_ = false;
  pool_.free_.Give(*this);
}

void GrpcWebCall::OnAnswer(InnerCall&, const net::Headers& headers) { SendAnswerHeaders(&headers); }

void GrpcWebCall::SendAnswerHeaders(const net::Headers* metadata) {
  if (std::exchange(answering_, true)) return;
  net::Headers answer;
  answer.Add(":status", "200");
  answer.Add("content-type",
             text_ ? "application/grpc-web-text+proto" : "application/grpc-web+proto");
  pool_.origins_.AddTo(caller_->headers(), answer);
  if (metadata) {
    for (const auto [name, value] : *metadata) {
      if (!name.starts_with(':') && name != "content-type") answer.Add(name, value);
    }
  }
  caller_->SendHeaders(answer, /*end=*/false);
}

void GrpcWebCall::OnAnswerBytes(InnerCall&, const net::Slice& bytes) {
  if (finished_) return;
  if (!text_) return caller_->Send(bytes, /*end=*/false);
  answer_.inner += bytes.size();
  SendPiece(bytes.bytes(), /*end=*/false);
}

void GrpcWebCall::SendPiece(std::string_view bytes, bool end) {
  if (!text_) return caller_->SendCopy(bytes, end);
  std::string text = net::EncodeBase64(bytes);
  answer_.outer += text.size();
  caller_->Send(net::Slice::Keep(std::move(text)), end);
}

void GrpcWebCall::OnAnswerEnd(InnerCall&, const net::Headers& trailers) { Finish(trailers); }

void GrpcWebCall::OnAnswerBroken(InnerCall&) {
  net::Headers status;
  net::AddGrpcStatus({absl::StatusCode::kUnavailable, "the call broke off; try again"}, status);
  Finish(status);
}

void GrpcWebCall::Finish(const net::Headers& trailers) {
  if (std::exchange(finished_, true)) return;
  SendAnswerHeaders(nullptr);
  std::string frame;
  AppendTrailers(trailers, frame);
  SendPiece(frame, /*end=*/true);
  Record(net::ReadGrpcStatus(trailers, "200").code);
}

void GrpcWebCall::Record(absl::StatusCode code) {
  record_.code = code;
  record_.http_status = 200;
  record_.duration = pool_.loop_.now() - began_;
  pool_.log_.Add(record_);
}

void GrpcWebCall::OnConsumed(InnerCall&, size_t count) {
  if (caller_ == nullptr) return;
  caller_->Consumed(text_ ? Toll::Exchange(count, request_.inner, request_.outer) : count);
}

}  // namespace torchfleet::gateway
