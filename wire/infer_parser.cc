#include "wire/infer_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "base/utf8.h"

namespace torchfleet::wire {
namespace {

constexpr uint32_t VarintTag(uint32_t field) { return MakeTag(field, WireType::kVarint); }
constexpr uint32_t Fixed32Tag(uint32_t field) { return MakeTag(field, WireType::kFixed32); }
constexpr uint32_t Fixed64Tag(uint32_t field) { return MakeTag(field, WireType::kFixed64); }

// Messages inside one another count from the outermost.
constexpr int kPartNesting = kMaxNesting - 1;
constexpr int kContentsNesting = kPartNesting - 1;

constexpr size_t kMaxVarint = 10;

// Of a packed field; nothing when one has no end or over ten bytes.
std::optional<size_t> CountVarints(std::string_view packed) {
  size_t count = 0;
  size_t length = 0;  // of the number that has begun
  for (const char c : packed) {
    if (static_cast<uint8_t>(c) < 0x80) {
      ++count;
      length = 0;
    } else if (++length == kMaxVarint) {
      return std::nullopt;
    }
  }
  if (length > 0) return std::nullopt;
  return count;
}

// Of a packed field of numbers of `size` bytes; nothing when one is cut.
std::optional<size_t> CountFixed(std::string_view packed, size_t size) {
  if (packed.size() % size != 0) return std::nullopt;
  return packed.size() / size;
}

// Fields `tag` in `bytes`, up to the first fault.
size_t CountFields(std::string_view bytes, uint32_t tag) {
  WireReader reader{ContiguousBytes(bytes)};
  size_t count = 0;
  uint32_t next;
  while (!reader.AtEnd() && reader.ReadTag(next) && reader.SkipField(next, kMaxNesting)) {
    if (next == tag) ++count;
  }
  return count;
}

// Adds a parameter to those from `first` on, or overrides the one of its key.
void PutParameter(ParameterPool& pool, size_t first, const Parameter& parameter) {
  const auto same_key = [&](const Parameter& known) { return known.key == parameter.key; };
  const auto found = std::find_if(pool.begin() + first, pool.end(), same_key);
  if (found != pool.end()) {
    found->value = parameter.value;
  } else {
    pool.push_back(parameter);
  }
}

}  // namespace

absl::Status InferParser::Parse(std::string_view message) {
  parts_.Clear();
  message_ = message;
  if (message.size() > kMaxMessageSize) {
    return absl::InvalidArgumentError(fmt::format("the {} has {} bytes; a message has at most {}",
                                                  fields_.message, message.size(),
                                                  kMaxMessageSize));
  }
  if (ParseMessage()) {
    BindSpans();
    return absl::OkStatus();
  }
  parts_.Clear();
  return FaultStatus();
}

bool InferParser::ParseMessage() {
  WireReader reader{ContiguousBytes(message_)};
  while (!reader.AtEnd()) {
    uint32_t tag;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    if (!ParseTopField(reader, tag)) return false;
  }
  return true;
}

bool InferParser::ParseTopField(WireReader& reader, uint32_t tag) {
  std::string_view bytes;
  switch (tag) {
    case LengthTag(1):
      return ReadText(reader, "model_name", parts_.model_name);
    case LengthTag(2):
      return ReadText(reader, "model_version", parts_.model_version);
    case LengthTag(3):
      return ReadText(reader, "id", parts_.id);
    case LengthTag(4): {
      Parameter parameter;
      if (!reader.ReadBytes(bytes)) return Malformed(reader);
      if (!ParseEntry(bytes, kPartNesting, parameter)) return false;
      if (++top_parameters_ > limits_.parameters) {
        return OverLimit(bytes.data(), limits_.parameters, "parameters");
      }
      PutParameter(parts_.parameters, 0, parameter);
      return true;
    }
    case LengthTag(5):
      if (!MakeRoom(parts_.tensors, reader, tag, limits_.tensors, fields_.tensors)) return false;
      return reader.ReadBytes(bytes) ? ParseTensor(bytes) : Malformed(reader);
    default:
      break;
  }
  if (tag == LengthTag(fields_.raw_contents)) {
    if (!MakeRoom(parts_.raw_contents, reader, tag, limits_.tensors, "raw contents")) return false;
    if (!reader.ReadBytes(bytes)) return Malformed(reader);
    parts_.raw_contents.push_back(bytes);
    return true;
  }
  if (tag == LengthTag(fields_.requested_outputs)) {
    if (!MakeRoom(parts_.requested_outputs, reader, tag, limits_.requested_outputs,
                  "requested outputs")) {
      return false;
    }
    return reader.ReadBytes(bytes) ? ParseRequestedOutput(bytes) : Malformed(reader);
  }
  return reader.SkipField(tag, kMaxNesting) || Malformed(reader);
}

bool InferParser::ParseTensor(std::string_view bytes) {
  TensorView& tensor = parts_.tensors.emplace_back();
  const size_t first_dimension = parts_.dimensions.size();
  const size_t first_parameter = parts_.tensor_parameters.size();
  WireReader reader{ContiguousBytes(bytes)};
  while (!reader.AtEnd()) {
    uint32_t tag;
    std::string_view field;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    switch (tag) {
      case LengthTag(1):
        if (!ReadText(reader, "name of a tensor", tensor.name)) return false;
        break;
      case LengthTag(2):
        if (!ReadText(reader, "datatype", tensor.datatype)) return false;
        break;
      case LengthTag(3):
        if (!reader.ReadBytes(field)) return Malformed(reader);
        if (!ParsePackedShape(field, first_dimension)) return false;
        break;
      case VarintTag(3): {
        uint64_t dimension;
        if (!reader.ReadVarint(dimension)) return Malformed(reader);
        if (!AddDimension(reader.bytes().at(), dimension, first_dimension)) return false;
        break;
      }
      case LengthTag(4):
        if (!reader.ReadBytes(field)) return Malformed(reader);
        if (!ParsePartParameter(field, parts_.tensor_parameters, first_parameter)) return false;
        break;
      case LengthTag(5):
        if (!reader.ReadBytes(field)) return Malformed(reader);
        tensor.contents.present = true;
        if (!ScanContents(field, tensor.contents)) return false;
        break;
      default:
        if (!reader.SkipField(tag, kPartNesting)) return Malformed(reader);
    }
  }
  if (tensor.contents.present) tensor.contents.tensor = bytes;
  // Only the sizes count until BindSpans().
  tensor.shape = std::span(parts_.dimensions).subspan(first_dimension);
  tensor.parameters = std::span(parts_.tensor_parameters).subspan(first_parameter);
  return true;
}

bool InferParser::ParseRequestedOutput(std::string_view bytes) {
  RequestedOutputView& output = parts_.requested_outputs.emplace_back();
  const size_t first_parameter = parts_.output_parameters.size();
  WireReader reader{ContiguousBytes(bytes)};
  while (!reader.AtEnd()) {
    uint32_t tag;
    std::string_view field;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    switch (tag) {
      case LengthTag(1):
        if (!ReadText(reader, "name of a requested output", output.name)) return false;
        break;
      case LengthTag(2):
        if (!reader.ReadBytes(field)) return Malformed(reader);
        if (!ParsePartParameter(field, parts_.output_parameters, first_parameter)) return false;
        break;
      default:
        if (!reader.SkipField(tag, kPartNesting)) return Malformed(reader);
    }
  }
  output.parameters = std::span(parts_.output_parameters).subspan(first_parameter);
  return true;
}

bool InferParser::ParsePartParameter(std::string_view bytes, ParameterPool& pool, size_t first) {
  Parameter parameter;
  if (!ParseEntry(bytes, kPartNesting - 1, parameter)) return false;
  if (++part_parameters_ > limits_.parameters) {
    return OverLimit(bytes.data(), limits_.parameters, "parameters of tensors and outputs");
  }
  PutParameter(pool, first, parameter);
  return true;
}

bool InferParser::ParseEntry(std::string_view bytes, int nesting, Parameter& parameter) {
  WireReader reader{ContiguousBytes(bytes)};
  while (!reader.AtEnd()) {
    uint32_t tag;
    std::string_view value;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    switch (tag) {
      case LengthTag(1):
        if (!ReadText(reader, "key of a parameter", parameter.key)) return false;
        break;
      case LengthTag(2):
        if (!reader.ReadBytes(value)) return Malformed(reader);
        if (!ParseValue(value, nesting - 1, parameter.value)) return false;
        break;
      default:
        if (!reader.SkipField(tag, nesting)) return Malformed(reader);
    }
  }
  return true;
}

bool InferParser::ParseValue(std::string_view bytes, int nesting, ParameterValue& value) {
  WireReader reader{ContiguousBytes(bytes)};
  while (!reader.AtEnd()) {
    uint32_t tag;
    uint64_t number;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    switch (tag) {
      case VarintTag(1):
        if (!reader.ReadVarint(number)) return Malformed(reader);
        value = number != 0;
        break;
      case VarintTag(2):
        if (!reader.ReadVarint(number)) return Malformed(reader);
        value = static_cast<int64_t>(number);
        break;
      case LengthTag(3): {
        std::string_view text;
        if (!ReadText(reader, "value of a parameter", text)) return false;
        value = text;
        break;
      }
      case Fixed64Tag(4): {
        double real;
        if (!reader.ReadFixed(real)) return Malformed(reader);
        value = real;
        break;
      }
      case VarintTag(5):
        if (!reader.ReadVarint(number)) return Malformed(reader);
        value = number;
        break;
      default:
        if (!reader.SkipField(tag, nesting)) return Malformed(reader);
    }
  }
  return true;
}

bool InferParser::ParsePackedShape(std::string_view bytes, size_t first) {
  WireReader reader{ContiguousBytes(bytes)};
  while (!reader.AtEnd()) {
    uint64_t dimension;
    if (!reader.ReadVarint(dimension)) return Malformed(reader);
    if (!AddDimension(reader.bytes().at(), dimension, first)) return false;
  }
  return true;
}

bool InferParser::AddDimension(const char* at, uint64_t value, size_t first) {
  if (parts_.dimensions.size() - first == limits_.dimensions) {
    return OverLimit(at, limits_.dimensions, "dimensions of a tensor");
  }
  parts_.dimensions.push_back(static_cast<int64_t>(value));
  return true;
}

bool InferParser::ScanContents(std::string_view bytes, TypedContents& contents) {
  WireReader reader{ContiguousBytes(bytes)};
  while (!reader.AtEnd()) {
    uint32_t tag;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    if (!ScanContentsField(reader, tag, contents)) return false;
  }
  return true;
}

bool InferParser::ScanContentsField(WireReader& reader, uint32_t tag, TypedContents& contents) {
  const uint32_t field = tag >> 3;
  std::optional<size_t> count = 1;
  switch (tag) {
    case LengthTag(1):
    case LengthTag(2):
    case LengthTag(3):
    case LengthTag(4):
    case LengthTag(5):
    case LengthTag(6):
    case LengthTag(7): {
      std::string_view packed;
      if (!reader.ReadBytes(packed)) return Malformed(reader);
      count = field <= 5 ? CountVarints(packed) : CountFixed(packed, field == 6 ? 4 : 8);
      if (!count) return Malformed(packed.data(), "whole numbers up to the end of a packed field");
      break;
    }
    case VarintTag(1):
    case VarintTag(2):
    case VarintTag(3):
    case VarintTag(4):
    case VarintTag(5):
    case Fixed32Tag(6):
    case Fixed64Tag(7):
    case LengthTag(8):
      if (!reader.SkipField(tag, 0)) return Malformed(reader);
      break;
    default:
      return reader.SkipField(tag, kContentsNesting) || Malformed(reader);
  }
  contents.counts[field - 1] += static_cast<uint32_t>(*count);
  return true;
}

bool InferParser::ReadText(WireReader& reader, std::string_view field, std::string_view& text) {
  if (!reader.ReadBytes(text)) return Malformed(reader);
  if (IsUtf8(text)) return true;
  fault_ = {
      .at = text.data(), .expected = {}, .limit = {}, .total = {}, .field = field, .text = text};
  return false;
}

template <typename Parts>
bool InferParser::MakeRoom(Parts& parts, const WireReader& reader, uint32_t tag, size_t limit,
                           std::string_view what) {
  if (parts.size() < parts.capacity() && parts.size() < limit) return true;
  const char* const at = reader.bytes().at();
  // This one's tag has been read.
  WireReader rest = reader;
  if (!rest.SkipField(tag, 0)) return Malformed(rest);
  const size_t total =
      parts.size() + 1 + CountFields({rest.bytes().at(), rest.bytes().left()}, tag);
  if (total > limit) return OverLimit(at, limit, what, total);
  parts.reserve(total);
  return true;
}

void InferParser::BindSpans() {
  const int64_t* dimension = parts_.dimensions.data();
  const Parameter* parameter = parts_.tensor_parameters.data();
  for (TensorView& tensor : parts_.tensors) {
    tensor.shape = {dimension, tensor.shape.size()};
    dimension += tensor.shape.size();
    tensor.parameters = {parameter, tensor.parameters.size()};
    parameter += tensor.parameters.size();
  }
  parameter = parts_.output_parameters.data();
  for (RequestedOutputView& output : parts_.requested_outputs) {
    output.parameters = {parameter, output.parameters.size()};
    parameter += output.parameters.size();
  }
}

bool InferParser::Malformed(const WireReader& reader) {
  return Malformed(reader.bytes().at(), reader.expected());
}

bool InferParser::Malformed(const char* at, std::string_view expected) {
  fault_ = {.at = at, .expected = expected, .limit = {}, .total = {}, .field = {}, .text = {}};
  return false;
}

bool InferParser::OverLimit(const char* at, size_t limit, std::string_view what,
                            std::optional<size_t> total) {
  fault_ = {.at = at, .expected = what, .limit = limit, .total = total, .field = {}, .text = {}};
  return false;
}

absl::Status InferParser::FaultStatus() const {
  if (fault_.limit) {
    const std::string count = fault_.total ? fmt::format("{} ", *fault_.total) : "";
    return WithBadField(absl::InvalidArgumentError(
                            fmt::format("the {} has {}{}, more than the {} that are taken",
                                        fields_.message, count, fault_.expected, *fault_.limit)),
                        fault_.expected);
  }
  if (!fault_.field.empty()) {
    return WithBadField(
        absl::InvalidArgumentError(
            fmt::format("{} is '{}'; expected a text in UTF-8", fault_.field, Clip(fault_.text))),
        fault_.field);
  }
  return absl::InvalidArgumentError(
      fmt::format("the {} is not a well-formed message: at byte {} expected {}", fields_.message,
                  fault_.at - message_.data(), fault_.expected));
}

}  // namespace torchfleet::wire
