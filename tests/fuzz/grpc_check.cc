#include <algorithm>
#include <string>
#include <vector>

#include "gateway/forward/request_head.h"
#include "gateway/record/call_ids.h"
#include "net/grpc/message_reader.h"
#include "net/grpc/status.h"
#include "tests/fuzz/small_check.h"

namespace torchfleet {
namespace {

using net::Headers;

constexpr size_t kSteps[] = {1, 3, 8};

// Messages, and how it ended.
struct Messages {
  std::vector<std::string> taken;
  absl::StatusCode code = absl::StatusCode::kOk;
  bool at_boundary = true;
  bool operator==(const Messages&) const = default;
};

Messages ReadMessages(std::string_view bytes, size_t step, size_t limit) {
  net::BlockPool pool;
  net::MessageReader reader(limit);
  Messages messages;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    const absl::Status status =
        reader.Take(net::Slice::Keep(std::string(bytes.substr(0, step))), pool,
                    [&](const net::Slice& m) { messages.taken.emplace_back(m.bytes()); });
    messages.code = status.code();
    if (!status.ok()) return messages;
  }
  messages.at_boundary = reader.AtBoundary();
  return messages;
}

Messages WatchMessages(std::string_view bytes, size_t step, size_t limit) {
  net::MessageReader reader(limit);
  Messages messages;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    messages.code = reader.Watch(bytes.substr(0, step)).code();
    if (messages.code != absl::StatusCode::kOk) return messages;
  }
  messages.at_boundary = reader.AtBoundary();
  return messages;
}

std::string MessagesFault(std::string_view bytes) {
  constexpr size_t kLimit = 1 << 20;
  const Messages whole = ReadMessages(bytes, bytes.size() + 1, kLimit);
  std::string again;
  for (const std::string& message : whole.taken) {
    char prefix[net::kGrpcPrefixSize];
    net::WriteGrpcPrefix(message.size(), prefix);
    again.append(prefix, sizeof prefix).append(message);
  }
  if (!bytes.starts_with(again)) return "the messages are not the body's";
  for (const size_t step : kSteps) {
    if (ReadMessages(bytes, step, kLimit) != whole) return "other messages when the body is cut";
    const Messages watched = WatchMessages(bytes, step, kLimit);
    if (watched.code != whole.code || watched.at_boundary != whole.at_boundary) {
      return "who watches over a body comes to another verdict";
    }
  }
  return "";
}

// The decision, and how many bytes it took.
struct Decision {
  absl::StatusOr<wire::InferRequestHead> head = absl::UnknownError("open");
  size_t bytes = 0;
};

Decision DecideHead(std::string_view body, size_t step) {
  gateway::RequestHead head;
  Decision decision;
  for (size_t at = 0; at < body.size(); at += step) {
    const std::string_view piece = body.substr(at, step);
    if (auto decided = head.Take(piece)) {
      // What came before is what goes on in front of this piece.
      if (head.before() != body.substr(0, at)) return {absl::DataLossError("before"), 0};
      return {*std::move(decided), at + piece.size()};
    }
  }
  return decision;
}

// A message that is there whole is read otherwise than one that is still coming,
// so only decisions before its end are the same for all cuts.
std::string HeadFault(std::string_view body) {
  size_t size = 0;
  for (size_t i = 1; i < net::kGrpcPrefixSize && i < body.size(); ++i) {
    size = size << 8 | static_cast<uint8_t>(body[i]);
  }
  const Decision first = DecideHead(body, 1);
  if (absl::IsDataLoss(first.head.status())) return "bytes before the decision are lost";
  for (const size_t step : kSteps) {
    const Decision other = DecideHead(body, step);
    if (absl::IsDataLoss(other.head.status())) return "bytes before the decision are lost";
    if (other.bytes >= size + net::kGrpcPrefixSize) continue;
    if (other.bytes == 0 && first.bytes != 0) return "a decision is taken back";
    if (other.bytes < first.bytes) return "more bytes are needed when they come one by one";
    if (first.head.status().code() != other.head.status().code()) return "another verdict";
    if (first.head.ok() && first.head->model_name != other.head->model_name) return "another model";
  }
  return "";
}

// As the definition has it: at most eight digits, and a unit.
bool IsTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return false;
  const std::string_view digits = text.substr(0, text.size() - 1);
  return digits.find_first_not_of("0123456789") == digits.npos &&
         std::string_view("HMSmun").find(text.back()) != std::string_view::npos;
}

std::string TimeoutFault(std::string_view text) {
  const auto timeout = net::ParseGrpcTimeout(text);
  if (timeout.has_value() != IsTimeout(text)) return "grpc-timeout: another verdict";
  if (!timeout || *timeout <= absl::ZeroDuration()) return "";
  const std::string written = net::FormatGrpcTimeout(*timeout);
  const auto again = net::ParseGrpcTimeout(written);
  if (!again) return "grpc-timeout: what was written cannot be read: " + written;
  // In a coarser unit it may lose what that cannot say.
  const bool fine = *again <= *timeout && *timeout - *again <= *timeout / 1000;
  return fine ? "" : "grpc-timeout: another time is written: " + written;
}

// Lines: the code, the message, the details, HTTP's status.
std::string StatusFault(std::string_view text) {
  std::string_view lines[4];
  for (std::string_view& line : lines) {
    const size_t end = std::min(text.find('\n'), text.size());
    line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  Headers trailers;
  if (lines[0] != "-") trailers.Add("grpc-status", lines[0]);
  trailers.Add("grpc-message", lines[1]);
  trailers.Add("grpc-status-details-bin", lines[2]);
  const net::GrpcStatus status = net::ReadGrpcStatus(trailers, lines[3]);
  if (status.message.size() > std::max<size_t>(lines[1].size(), 64)) return "a message grew";
  Headers written;
  net::AddGrpcStatus(status, written);
  for (const auto [name, value] : written) {
    for (const char c : value) {
      if (c < 0x20 || c > 0x7e) return "a trailer holds what no field may";
    }
  }
  const net::GrpcStatus again = net::ReadGrpcStatus(written, "200");
  const bool same = again.code == status.code && again.message == status.message &&
                    again.details == status.details;
  return same ? "" : "another status was read than was written";
}

bool IsFieldValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f; });
}

// Lines: traceparent, X-Request-Id.
std::string IdsFault(std::string_view text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view trace = text.substr(0, end);
  const std::string_view id = end < text.size() ? text.substr(end + 1) : std::string_view();
  if (!IsFieldValue(trace) || !IsFieldValue(id)) return "";  // no HTTP brings those
  Headers request;
  request.Add("traceparent", trace);
  request.Add("x-request-id", id);
  gateway::CallIds ids;
  ids.Take(request);
  Headers onward;
  ids.AddTo(onward);
  // What goes on is taken as it is by the next.
  gateway::CallIds next;
  next.Take(onward);
  if (next.trace_id() != ids.trace_id() || next.request_id() != ids.request_id()) {
    return "the next one begins identifiers of its own";
  }
  return ids.trace_id().size() == 32 ? "" : "a trace's name is no 32 digits";
}

}  // namespace

std::string GrpcFault(char reader, std::string_view bytes) {
  switch (reader) {
    case 'm':
      return MessagesFault(bytes);
    case 'h':
      return HeadFault(bytes);
    case 't':
      return TimeoutFault(bytes);
    case 's':
      return StatusFault(bytes);
    default:
      return IdsFault(bytes);
  }
}

}  // namespace torchfleet
