#include "gateway/protocol/rest/raw_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace torchfleet::gateway::rest {
namespace {

// The shape for `came` bytes, or nothing when they fit none.
std::optional<Shape> ShapeOf(const TensorSpec& tensor, size_t element, size_t came) {
  const auto is_free = [](int64_t dimension) { return dimension < 0; };
  Shape shape = tensor.shape;
  auto free = std::count_if(shape.begin(), shape.end(), is_free);
  if (free > 1 && is_free(shape.front())) {
    shape.front() = 1;
    --free;
  }
  if (free > 1) return std::nullopt;
  size_t fixed = element;
  for (const int64_t dimension : shape) {
    if (!is_free(dimension) &&
        __builtin_mul_overflow(fixed, static_cast<size_t>(dimension), &fixed)) {
      return std::nullopt;
    }
  }
  if (free == 0) return fixed == came ? std::optional(shape) : std::nullopt;
  if (fixed == 0 || came % fixed != 0) return std::nullopt;
  std::replace_if(shape.begin(), shape.end(), is_free, static_cast<int64_t>(came / fixed));
  return shape;
}

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
  const auto shape = is_bytes
                         ? ShapeOf(tensor, 1, 1)
                         : ShapeOf(tensor, wire::ElementSize(tensor.datatype), call.body.size());
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
