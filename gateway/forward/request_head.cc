#include "gateway/forward/request_head.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "net/grpc/message_reader.h"
#include "wire/wire_reader.h"

namespace torchfleet::gateway {
namespace {

// Field numbers of ModelInferRequest.
constexpr uint32_t kName = 1, kVersion = 2, kId = 3, kParameters = 4;

// Name, version and id from the beginning of a message; nothing while more of
// it may hold them.
std::optional<absl::StatusOr<wire::InferRequestHead>> ScanBeginning(std::string_view bytes) {
  wire::InferRequestHead head;
  wire::WireReader reader{wire::ContiguousBytes(bytes)};
  uint32_t tag;
  while (!reader.AtEnd() && reader.ReadTag(tag)) {
    const uint32_t field = tag >> 3;
    // Tensors begin: what comes before them has been.
    if (field > kParameters) break;
    std::string_view value;
    if (field == kName || field == kVersion || field == kId) {
      if (tag != wire::LengthTag(field) || !reader.ReadBytes(value)) return std::nullopt;
      if (!IsUtf8(value)) return absl::InvalidArgumentError("a name is not UTF-8");
      (field == kName      ? head.model_name
       : field == kVersion ? head.model_version
                           : head.id) = std::string(value);
    } else if (!reader.SkipField(tag, wire::kMaxNesting)) {
      return std::nullopt;
    }
  }
  if (head.model_name.empty() || reader.AtEnd()) return std::nullopt;
  return head;
}

}  // namespace

std::optional<absl::StatusOr<wire::InferRequestHead>> RequestHead::Take(std::string_view bytes) {
  if (before_.empty()) {
    auto decided = Decide(bytes);
    if (!decided) before_.assign(bytes);
    return decided;
  }
  const size_t had = before_.size();
  before_.append(bytes);
  auto decided = Decide(before_);
  if (decided) before_.resize(had);
  return decided;
}

std::optional<absl::StatusOr<wire::InferRequestHead>> RequestHead::Decide(std::string_view body) {
  if (body.size() < net::kGrpcPrefixSize) return std::nullopt;
  if (body[0] != 0) {
    return absl::InternalError("the message is compressed, and no encoding was agreed on");
  }
  size_t size = 0;
  for (size_t i = 1; i < net::kGrpcPrefixSize; ++i) {
    size = size << 8 | static_cast<uint8_t>(body[i]);
  }
  if (size > kMaxMessage) {
    return absl::ResourceExhaustedError(
        fmt::format("the request has {} bytes; expected at most {}", size, kMaxMessage));
  }
  body_size_ = net::kGrpcPrefixSize + size;
  const std::string_view message = body.substr(net::kGrpcPrefixSize);
  if (message.size() >= size) {
    const std::string_view pieces[] = {message.substr(0, size)};
    return wire::ScanInferRequest(pieces);
  }
  auto head = ScanBeginning(message);
  if (!head && message.size() > kMostBefore) {
    return absl::InvalidArgumentError(fmt::format(
        "no model_name within the first {} bytes of the request; expected it there", kMostBefore));
  }
  return head;
}

}  // namespace torchfleet::gateway
