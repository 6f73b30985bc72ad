#include "gateway/forward/same_outputs.h"

#include <cstdint>
#include <optional>

#include "net/grpc/message_reader.h"
#include "wire/wire_reader.h"

namespace torchfleet::gateway {
namespace {

// Field numbers of ModelInferResponse.
constexpr uint32_t kOutputs = 5, kRawContents = 6;

struct Output {
  uint32_t tag = 0;  // 0: there are no more
  std::string_view bytes = {};
};

class OutputReader {
 public:
  explicit OutputReader(std::string_view body)
      : reader_(wire::ContiguousBytes(body.substr(net::kGrpcPrefixSize))) {}

  // Nothing when it cannot be read.
  std::optional<Output> Next() {
    while (!reader_.AtEnd()) {
      Output output;
      if (!reader_.ReadTag(output.tag)) return std::nullopt;
      const bool wanted =
          output.tag == wire::LengthTag(kOutputs) || output.tag == wire::LengthTag(kRawContents);
      if (wanted) return reader_.ReadBytes(output.bytes) ? std::optional(output) : std::nullopt;
      if (!reader_.SkipField(output.tag, wire::kMaxNesting)) return std::nullopt;
    }
    return Output{};
  }

 private:
  wire::WireReader reader_;
};

}  // namespace

bool SameOutputs(std::string_view a, std::string_view b) {
  if (a.size() < net::kGrpcPrefixSize || b.size() < net::kGrpcPrefixSize) return false;
  OutputReader left(a), right(b);
  while (true) {
    const auto one = left.Next(), other = right.Next();
    if (!one || !other || one->tag != other->tag || one->bytes != other->bytes) return false;
    if (one->tag == 0) return true;
  }
}

}  // namespace torchfleet::gateway
