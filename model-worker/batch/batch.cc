#include "model-worker/batch/batch.h"

#include <fmt/format.h>

#include <cstring>

#include "base/status.h"
#include "model-worker/execute/reshape.h"

namespace torchfleet::worker {
namespace {

// Elements of the dimensions behind `dimension`. One of zero may stand beside
// others whose product is anything.
int64_t ElementsBelow(const std::vector<int64_t>& shape, size_t dimension) {
  int64_t elements = 1;
  for (size_t i = dimension + 1; i < shape.size(); ++i) {
    if (shape[i] == 0) return 0;
    if (__builtin_mul_overflow(elements, shape[i], &elements)) elements = 0;
  }
  return elements;
}

// Elements of the dimension that is padded, each of so many bytes.
size_t ElementBytes(const std::vector<int64_t>& shape, size_t dimension, wire::DataType type) {
  return static_cast<size_t>(ElementsBelow(shape, dimension)) * wire::ElementSize(type);
}

template <typename Number>
std::string Repeated(int64_t count, int64_t value) {
  const auto number = static_cast<Number>(value);
  std::string bytes(static_cast<size_t>(count) * sizeof(number), '\0');
  for (size_t i = 0; i < bytes.size(); i += sizeof(number)) {
    std::memcpy(bytes.data() + i, &number, sizeof(number));
  }
  return bytes;
}

// `count` numbers of `type`, all `value`; the types that masks and lengths have.
std::string Numbers(wire::DataType type, int64_t count, int64_t value) {
  switch (type) {
    case wire::DataType::kInt32:
      return Repeated<int32_t>(count, value);
    case wire::DataType::kFp32:
      return Repeated<float>(count, value);
    case wire::DataType::kBool:
      return Repeated<uint8_t>(count, value);
    default:
      return Repeated<int64_t>(count, value);
  }
}

// Bytes of the first `elements` BYTES elements; npos where there are fewer.
size_t StringBytes(std::string_view bytes, int64_t elements) {
  size_t at = 0;
  for (; elements > 0; --elements) {
    uint32_t length = 0;
    if (bytes.size() - at < sizeof(length)) return std::string_view::npos;
    std::memcpy(&length, bytes.data() + at, sizeof(length));
    at += sizeof(length);
    if (bytes.size() - at < length) return std::string_view::npos;
    at += length;
  }
  return at;
}

// Of a padded output's rows: the first `length` of every `longest`.
OutputTensor CutBack(OutputTensor part, size_t dimension, int64_t length) {
  const auto longest = static_cast<size_t>(part.shape[dimension]);
  const size_t element = ElementBytes(part.shape, dimension, part.type);
  const size_t from = longest * element, kept = static_cast<size_t>(length) * element;
  part.shape[dimension] = length;
  std::string bytes;
  bytes.reserve(from == 0 ? 0 : part.bytes.size() / from * kept);
  for (size_t at = 0; at < part.bytes.size(); at += from) bytes += part.bytes.substr(at, kept);
  return OutputTensor::Own(part.type, std::move(part.shape), std::move(bytes));
}

}  // namespace

bool CanShare(const ModelSpec& spec, const CheckedRequest& a, const CheckedRequest& b) {
  if (spec.max_batch_size == 0) return false;
  const LengthRules& lengths = spec.lengths;
  if (a.length != b.length && (a.length == 0 || b.length == 0)) return false;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const InputTensor& left = a.inputs[i];
    const InputTensor& right = b.inputs[i];
    if (left.absent != right.absent && !lengths.made(i)) return false;
    if (left.absent || right.absent) continue;
    for (size_t d = 1; d < left.shape.size(); ++d) {
      if (left.shape[d] == right.shape[d]) continue;
      if (!lengths.any() || lengths.inputs[i] != d) return false;
    }
  }
  return true;
}

void Batch::Clear() {
  requests_.clear();
  rows_ = length_ = own_elements_ = 0;
}

void Batch::Add(Request& request) {
  const CheckedRequest& checked = request.checked();
  requests_.push_back(&request);
  rows_ += checked.rows();
  length_ = std::max(length_, checked.length);
  own_elements_ += checked.rows() * checked.length;
}

const std::vector<BatchInput>& Batch::Gather(const ModelSpec& spec) {
  inputs_.resize(spec.inputs.size());
  made_.clear();
  made_.reserve(2 * requests_.size());
  for (size_t i = 0; i < inputs_.size(); ++i) GatherInput(spec, i);
  return inputs_;
}

void Batch::GatherInput(const ModelSpec& spec, size_t index) {
  BatchInput& input = inputs_[index];
  input.Clear();
  const auto& tensor = spec.inputs[index];
  const bool made = spec.lengths.made(index);
  // 0: none.
  const size_t dimension = spec.lengths.any() ? spec.lengths.inputs[index].value_or(0) : 0;
  bool padded = false;
  for (const Request* const request : requests_) {
    const CheckedRequest& checked = request->checked();
    const InputTensor& own = checked.inputs[index];
    if (own.absent && !made) {
      input.absent = true;
      return;
    }
    if (own.absent) {
      AddMade(spec, index, checked);
    } else {
      input.pieces.push_back(own.bytes);
    }
    if (input.shape.empty() && !own.absent) input.shape = own.shape;
    padded = padded || (dimension > 0 && checked.length != length_);
  }
  if (input.shape.empty()) input.shape = tensor.shape;
  if (spec.max_batch_size > 0 && !input.shape.empty()) input.shape[0] = rows_;
  if (dimension > 0) input.shape[dimension] = length_;
  if (padded) {
    const size_t element = ElementBytes(input.shape, dimension, tensor.type);
    input.run = static_cast<size_t>(length_) * element;
    for (const Request* const request : requests_) {
      input.runs.push_back(static_cast<size_t>(request->checked().length) * element);
    }
    input.padding = spec.lengths.padding[index];
  }
  if (tensor.inside) input.shape = Reshaped(tensor.shape, *tensor.inside, input.shape);
}

void Batch::AddMade(const ModelSpec& spec, size_t index, const CheckedRequest& request) {
  const bool mask = spec.lengths.mask == index;
  made_.push_back(Numbers(spec.inputs[index].type,
                          mask ? request.rows() * request.length : request.rows(),
                          mask ? 1 : request.length));
  inputs_[index].pieces.push_back(made_.back());
}

absl::Status Batch::Split(const ModelSpec& spec, const std::vector<OutputTensor>& outputs,
                          std::vector<std::vector<OutputTensor>>& answers) const {
  answers.assign(requests_.size(), {});
  if (requests_.size() == 1) {
    answers[0] = outputs;
    return absl::OkStatus();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const OutputTensor& output = outputs[i];
    const size_t dimension = spec.lengths.any() ? spec.lengths.outputs[i].value_or(0) : 0;
    if (dimension > 0 && output.shape[dimension] != length_) {
      return absl::InternalError(
          fmt::format("output '{}': the model gave shape {}; its configuration says that "
                      "dimension {} is as long as the inputs', {}",
                      Clip(spec.outputs[i].name), ShapeText(output.shape), dimension, length_));
    }
    const int64_t elements = ElementsBelow(output.shape, 0);
    const size_t row = static_cast<size_t>(elements) * wire::ElementSize(output.type);
    std::string_view rest = output.bytes;
    for (size_t r = 0; r < requests_.size(); ++r) {
      const CheckedRequest& checked = requests_[r]->checked();
      const size_t size = output.type == wire::DataType::kBytes
                              ? StringBytes(rest, checked.rows() * elements)
                              : static_cast<size_t>(checked.rows()) * row;
      const bool last = r + 1 == requests_.size();
      if (size > rest.size() || (last && size < rest.size())) {
        return absl::InternalError(fmt::format("output '{}': the model gave {} bytes for shape {}",
                                               Clip(spec.outputs[i].name), output.bytes.size(),
                                               ShapeText(output.shape)));
      }
      OutputTensor part{output.type, output.shape, rest.substr(0, size), output.owner};
      part.shape[0] = checked.rows();
      rest.remove_prefix(size);
      if (dimension > 0 && checked.length != length_) {
        part = CutBack(std::move(part), dimension, checked.length);
      }
      answers[r].push_back(std::move(part));
    }
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::worker
