#include "gateway/protocol/rest/raw_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace torchfleet::gateway::rest {
namespace {

void AppendElement(std::string_view body, ByteBuffer& raw) {
  const auto length = static_cast<uint32_t>(body.size());
  char* const room = raw.Room(sizeof(length) + body.size(), sizeof(length) + body.size());
  std::memcpy(room, &length, sizeof(length));
  std::copy(body.begin(), body.end(), room + sizeof(length));
  raw.Commit(sizeof(length) + body.size());
}

}  // namespace

absl::Status ReadRawInput(const RestCall& call, const ModelSpec* spec, RequestParts& parts) {
  constexpr std::string_view kMode =
      "the body is one tensor's bytes "
      "(Inference-Header-Content-Length is 0)";
  if (spec == nullptr || spec->inputs.size() != 1) {
    return Invalid("inputs",
                   fmt::format("{}, but model '{}' takes {} inputs; send JSON in front", kMode,
                               Clip(call.model), spec == nullptr ? 0 : spec->inputs.size()));
  }
  const TensorSpec& tensor = spec->inputs.front();
  const bool is_bytes = tensor.datatype == wire::DataType::kBytes;
  const auto shape =
      is_bytes ? FittingShape(tensor.shape, 1)
               : FittingShape(tensor.shape, call.body.size(), wire::ElementSize(tensor.datatype));
  if (!shape || call.body.size() > std::numeric_limits<uint32_t>::max()) {
    return Invalid("inputs", fmt::format("{}; its {} bytes are no {} of the shape {} for input "
                                         "'{}'",
                                         kMode, call.body.size(), DataTypeName(tensor.datatype),
                                         ShapeText(tensor.shape), Clip(tensor.name)));
  }
  InputParts& input = parts.AddInput();
  input.name = tensor.name;
  input.datatype = DataTypeName(tensor.datatype);
  input.shape = *shape;
  if (is_bytes) {
    AppendElement(call.body, input.raw);
  } else {
    input.binary = call.body;
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::gateway::rest
