#include "wire/infer_writer.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "wire/infer_parser.h"
#include "wire/wire_reader.h"

namespace torchfleet::wire {
namespace {

constexpr size_t VarintSize(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Of a field under number 15 whose bytes are `length` long.
constexpr size_t FieldSize(size_t length) { return 1 + VarintSize(length) + length; }

// Proto3 leaves an empty text out.
constexpr size_t TextSize(std::string_view text) {
  return text.empty() ? 0 : FieldSize(text.size());
}

size_t ValueSize(const ParameterValue& value) {
  struct Size {
    size_t operator()(std::monostate) const { return 0; }
    size_t operator()(bool) const { return 2; }
    size_t operator()(int64_t number) const {
      return 1 + VarintSize(static_cast<uint64_t>(number));
    }
    // A text that is there but empty is still written: it says which is set.
    size_t operator()(std::string_view text) const { return FieldSize(text.size()); }
    size_t operator()(double) const { return 1 + sizeof(double); }
    size_t operator()(uint64_t number) const { return 1 + VarintSize(number); }
  };
  return std::visit(Size{}, value);
}

size_t EntrySize(const Parameter& parameter) {
  return FieldSize(parameter.key.size()) + FieldSize(ValueSize(parameter.value));
}

size_t ParametersSize(std::span<const Parameter> parameters) {
  size_t size = 0;
  for (const Parameter& parameter : parameters) size += FieldSize(EntrySize(parameter));
  return size;
}

size_t PackedShapeSize(std::span<const int64_t> shape) {
  size_t size = 0;
  for (const int64_t dimension : shape) size += VarintSize(static_cast<uint64_t>(dimension));
  return size;
}

size_t TensorSize(const TensorSource& tensor) {
  const size_t shape = PackedShapeSize(tensor.shape);
  return TextSize(tensor.name) + TextSize(tensor.datatype) + (shape > 0 ? FieldSize(shape) : 0) +
         ParametersSize(tensor.parameters);
}

size_t RequestedOutputSize(const RequestedOutputView& output) {
  return TextSize(output.name) + ParametersSize(output.parameters);
}

// Appends fields to bytes for which there is room.
class Appender {
 public:
  explicit Appender(char* at) : at_(at) {}

  char* at() const { return at_; }

  void Varint(uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<char>(value);
  }
  void Length(uint32_t field, size_t length) {
    Varint(LengthTag(field));
    Varint(length);
  }
  void Bytes(uint32_t field, std::string_view bytes) {
    Length(field, bytes.size());
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void Text(uint32_t field, std::string_view text) {
    if (!text.empty()) Bytes(field, text);
  }

  void Value(const ParameterValue& value) {
    std::visit([this](const auto& held) { Held(held); }, value);
  }

  void Parameters(uint32_t field, std::span<const Parameter> parameters) {
    for (const Parameter& parameter : parameters) {
      Length(field, EntrySize(parameter));
      Bytes(1, parameter.key);
      Length(2, ValueSize(parameter.value));
      Value(parameter.value);
    }
  }

  void Tensor(const TensorSource& tensor) {
    Length(5, TensorSize(tensor));
    Text(1, tensor.name);
    Text(2, tensor.datatype);
    if (!tensor.shape.empty()) {
      Length(3, PackedShapeSize(tensor.shape));
      for (const int64_t dimension : tensor.shape) Varint(static_cast<uint64_t>(dimension));
    }
    Parameters(4, tensor.parameters);
  }

  void RequestedOutput(const RequestedOutputView& output) {
    Length(6, RequestedOutputSize(output));
    Text(1, output.name);
    Parameters(2, output.parameters);
  }

 private:
  void Held(std::monostate) {}
  void Held(bool value) {
    Varint(MakeTag(1, WireType::kVarint));
    Varint(value ? 1 : 0);
  }
  void Held(int64_t value) {
    Varint(MakeTag(2, WireType::kVarint));
    Varint(static_cast<uint64_t>(value));
  }
  void Held(std::string_view value) { Bytes(3, value); }
  void Held(double value) {
    Varint(MakeTag(4, WireType::kFixed64));
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }
  void Held(uint64_t value) {
    Varint(MakeTag(5, WireType::kVarint));
    Varint(value);
  }

  char* at_;
};

size_t HeadSize(const RequestSource& head) {
  size_t size = TextSize(head.model_name) + TextSize(head.model_version) + TextSize(head.id) +
                ParametersSize(head.parameters);
  for (const TensorSource& tensor : head.inputs) size += FieldSize(TensorSize(tensor));
  for (const RequestedOutputView& output : head.outputs) {
    size += FieldSize(RequestedOutputSize(output));
  }
  return size;
}

void AppendHead(const RequestSource& head, Appender& out) {
  out.Text(1, head.model_name);
  out.Text(2, head.model_version);
  out.Text(3, head.id);
  out.Parameters(4, head.parameters);
  for (const TensorSource& tensor : head.inputs) out.Tensor(tensor);
  for (const RequestedOutputView& output : head.outputs) out.RequestedOutput(output);
}

}  // namespace

absl::StatusOr<std::span<const std::string_view>> InferWriter::Write(const RequestSource& request) {
  return Write(request, kRequestFields.raw_contents);
}

absl::StatusOr<std::span<const std::string_view>> InferWriter::Write(
    const ResponseSource& response) {
  const RequestSource head = {.model_name = response.model_name,
                              .model_version = response.model_version,
                              .id = response.id,
                              .parameters = response.parameters,
                              .inputs = response.outputs,
                              .outputs = {}};
  return Write(head, kResponseFields.raw_contents);
}

absl::StatusOr<std::span<const std::string_view>> InferWriter::Write(const RequestSource& head,
                                                                     uint32_t raw_field) {
  pieces_.clear();
  size_t own = HeadSize(head);
  size_ = own;
  for (const TensorSource& tensor : head.inputs) {
    own += FieldSize(tensor.data.size()) - tensor.data.size();
    size_ += FieldSize(tensor.data.size());
  }
  if (size_ > kMaxMessageSize) {
    return absl::ResourceExhaustedError(
        fmt::format("the message would have {} bytes; it may have {}", size_, kMaxMessageSize));
  }
  own_.resize(own);
  Appender out(own_.data());
  AppendHead(head, out);
  const char* piece = own_.data();
  for (const TensorSource& tensor : head.inputs) {
    out.Length(raw_field, tensor.data.size());
    if (tensor.data.empty()) continue;
    pieces_.emplace_back(piece, static_cast<size_t>(out.at() - piece));
    pieces_.push_back(tensor.data);
    piece = out.at();
  }
  if (out.at() != piece) pieces_.emplace_back(piece, static_cast<size_t>(out.at() - piece));
  return std::span<const std::string_view>(pieces_);
}

}  // namespace torchfleet::wire
