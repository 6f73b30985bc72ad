#include "tests/fuzz/wire_differential.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <cstring>
#include <limits>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "wire/datatype.h"
#include "wire/infer_request_scan.h"
#include "wire/infer_views.h"
#include "wire/infer_writer.h"
#include "wire/tensor_contents.h"

namespace torchfleet::wire {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr MessageLimits kUnlimited = {.tensors = kNoLimit,
                                      .requested_outputs = kNoLimit,
                                      .parameters = kNoLimit,
                                      .dimensions = kNoLimit};
constexpr MessageLimits kTight = {
    .tensors = 2, .requested_outputs = 3, .parameters = 2, .dimensions = 3};

using ParameterMap = google::protobuf::Map<std::string, inference::InferParameter>;

// Collects the first difference.
class Comparison {
 public:
  template <typename A, typename B>
  void Equal(const A& ours, const B& theirs, std::string_view what) {
    if (!(ours == theirs)) Fail(fmt::format("{}: {} against {}", what, ours, theirs));
  }
  void Equal(std::string_view ours, const std::string& theirs, std::string_view what) {
    if (ours != theirs) Fail(fmt::format("{}: texts differ", what));
  }
  // Bit by bit, so that NaN equals itself.
  template <typename T>
  void SameBits(T ours, T theirs, std::string_view what) {
    if (std::memcmp(&ours, &theirs, sizeof(T)) != 0) Fail(fmt::format("{} differs", what));
  }
  void Fail(std::string text) {
    if (text_.empty()) text_ = std::move(text);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void CompareValue(Comparison& compare, const ParameterValue& ours,
                  const inference::InferParameter& theirs) {
  using Case = inference::InferParameter;
  compare.Equal(ours.index(), static_cast<size_t>(theirs.parameter_choice_case()),
                "kind of a parameter");
  if (!compare.text().empty()) return;
  static_assert(Case::kUint64Param == 5 && Case::kBoolParam == 1);
  switch (theirs.parameter_choice_case()) {
    case Case::kBoolParam:
      return compare.Equal(std::get<bool>(ours), theirs.bool_param(), "bool parameter");
    case Case::kInt64Param:
      return compare.Equal(std::get<int64_t>(ours), theirs.int64_param(), "int64 parameter");
    case Case::kStringParam:
      return compare.Equal(std::get<std::string_view>(ours), theirs.string_param(),
                           "string parameter");
    case Case::kDoubleParam:
      return compare.SameBits(std::get<double>(ours), theirs.double_param(), "double parameter");
    case Case::kUint64Param:
      return compare.Equal(std::get<uint64_t>(ours), theirs.uint64_param(), "uint64 parameter");
    case Case::PARAMETER_CHOICE_NOT_SET:
      return;
  }
}

void CompareParameters(Comparison& compare, std::span<const Parameter> ours,
                       const ParameterMap& theirs) {
  compare.Equal(ours.size(), theirs.size(), "number of parameters");
  for (const auto& [key, value] : theirs) {
    const ParameterValue* const found = FindParameter(ours, key);
    if (found == nullptr) return compare.Fail("a parameter is missing");
    CompareValue(compare, *found, value);
  }
}

template <ContentsKind kKind, typename Repeated>
void CompareKind(Comparison& compare, const TensorView& ours, const Repeated& theirs) {
  const auto name = ContentsFieldName(kKind);
  compare.Equal(ours.contents.Count(kKind), static_cast<size_t>(theirs.size()), name);
  int index = 0;
  VisitContents<kKind>(ours, [&](const auto& element) {
    if (index >= theirs.size()) return compare.Fail("more contents than counted");
    if constexpr (kKind == ContentsKind::kBytes) {
      compare.Equal(element, theirs.Get(index), name);
    } else {
      compare.SameBits(element, theirs.Get(index), name);
    }
    ++index;
  });
  compare.Equal(index, theirs.size(), "contents visited");
}

// Every datatype whose contents these can be converts into just its room.
void ConvertContents(Comparison& compare, const TensorView& tensor) {
  for (const DataType type : kAllDataTypes) {
    const auto size = RawContentsSize(tensor, type);
    if (!size.ok()) continue;
    std::vector<char> raw(*size);
    const absl::Status status = CopyContents(tensor, type, raw);
    if (!status.ok() && status.code() != absl::StatusCode::kInvalidArgument) {
      compare.Fail("contents do not fit their own room");
    }
  }
}

template <typename Tensor>
void CompareTensor(Comparison& compare, const TensorView& ours, const Tensor& theirs) {
  compare.Equal(ours.name, theirs.name(), "name of a tensor");
  compare.Equal(ours.datatype, theirs.datatype(), "datatype");
  compare.Equal(ours.shape.size(), static_cast<size_t>(theirs.shape_size()), "rank");
  for (int i = 0; i < theirs.shape_size() && compare.text().empty(); ++i) {
    compare.Equal(ours.shape[i], theirs.shape(i), "dimension");
  }
  CompareParameters(compare, ours.parameters, theirs.parameters());
  compare.Equal(ours.contents.present, theirs.has_contents(), "presence of contents");
  const inference::InferTensorContents& contents = theirs.contents();
  CompareKind<ContentsKind::kBool>(compare, ours, contents.bool_contents());
  CompareKind<ContentsKind::kInt>(compare, ours, contents.int_contents());
  CompareKind<ContentsKind::kInt64>(compare, ours, contents.int64_contents());
  CompareKind<ContentsKind::kUint>(compare, ours, contents.uint_contents());
  CompareKind<ContentsKind::kUint64>(compare, ours, contents.uint64_contents());
  CompareKind<ContentsKind::kFp32>(compare, ours, contents.fp32_contents());
  CompareKind<ContentsKind::kFp64>(compare, ours, contents.fp64_contents());
  CompareKind<ContentsKind::kBytes>(compare, ours, contents.bytes_contents());
  ConvertContents(compare, ours);
}

template <typename Tensors>
void CompareTensors(Comparison& compare, std::span<const TensorView> ours, const Tensors& theirs) {
  compare.Equal(ours.size(), static_cast<size_t>(theirs.size()), "number of tensors");
  for (int i = 0; i < theirs.size() && compare.text().empty(); ++i) {
    CompareTensor(compare, ours[i], theirs.Get(i));
  }
}

template <typename View, typename Message>
void CompareHeads(Comparison& compare, const View& ours, const Message& theirs) {
  compare.Equal(ours.model_name(), theirs.model_name(), "model_name");
  compare.Equal(ours.model_version(), theirs.model_version(), "model_version");
  compare.Equal(ours.id(), theirs.id(), "id");
  CompareParameters(compare, ours.parameters(), theirs.parameters());
}

void CompareRaw(Comparison& compare, std::span<const std::string_view> ours,
                const google::protobuf::RepeatedPtrField<std::string>& theirs) {
  compare.Equal(ours.size(), static_cast<size_t>(theirs.size()), "number of raw contents");
  for (int i = 0; i < theirs.size() && compare.text().empty(); ++i) {
    compare.Equal(ours[i], theirs.Get(i), "raw contents");
  }
}

void Compare(Comparison& compare, const InferRequestView& ours,
             const inference::ModelInferRequest& theirs) {
  CompareHeads(compare, ours, theirs);
  CompareTensors(compare, ours.inputs(), theirs.inputs());
  CompareRaw(compare, ours.raw_input_contents(), theirs.raw_input_contents());
  compare.Equal(ours.outputs().size(), static_cast<size_t>(theirs.outputs_size()),
                "number of requested outputs");
  for (int i = 0; i < theirs.outputs_size() && compare.text().empty(); ++i) {
    compare.Equal(ours.outputs()[i].name, theirs.outputs(i).name(), "name of a requested output");
    CompareParameters(compare, ours.outputs()[i].parameters, theirs.outputs(i).parameters());
  }
}

void Compare(Comparison& compare, const InferResponseView& ours,
             const inference::ModelInferResponse& theirs) {
  CompareHeads(compare, ours, theirs);
  CompareTensors(compare, ours.outputs(), theirs.outputs());
  CompareRaw(compare, ours.raw_output_contents(), theirs.raw_output_contents());
}

// The tensors of a view with its raw contents; none for those without.
std::vector<TensorSource> Sources(std::span<const TensorView> tensors,
                                  std::span<const std::string_view> raw) {
  std::vector<TensorSource> sources;
  for (size_t i = 0; i < tensors.size(); ++i) {
    sources.push_back({.name = tensors[i].name,
                       .datatype = tensors[i].datatype,
                       .shape = tensors[i].shape,
                       .parameters = tensors[i].parameters,
                       .data = i < raw.size() ? raw[i] : std::string_view()});
  }
  return sources;
}

absl::StatusOr<std::span<const std::string_view>> Rewrite(InferWriter& writer,
                                                          const InferRequestView& view,
                                                          std::vector<TensorSource>& sources) {
  sources = Sources(view.inputs(), view.raw_input_contents());
  return writer.Write(RequestSource{.model_name = view.model_name(),
                                    .model_version = view.model_version(),
                                    .id = view.id(),
                                    .parameters = view.parameters(),
                                    .inputs = sources,
                                    .outputs = view.outputs()});
}

absl::StatusOr<std::span<const std::string_view>> Rewrite(InferWriter& writer,
                                                          const InferResponseView& view,
                                                          std::vector<TensorSource>& sources) {
  sources = Sources(view.outputs(), view.raw_output_contents());
  return writer.Write(ResponseSource{.model_name = view.model_name(),
                                     .model_version = view.model_version(),
                                     .id = view.id(),
                                     .parameters = view.parameters(),
                                     .outputs = sources});
}

// `message` as the writer has it: no typed contents, raw contents per tensor.
void Normalize(inference::ModelInferRequest& message) {
  for (auto& input : *message.mutable_inputs()) input.clear_contents();
  auto& raw = *message.mutable_raw_input_contents();
  while (raw.size() > message.inputs_size()) raw.RemoveLast();
  while (raw.size() < message.inputs_size()) raw.Add();
}

void Normalize(inference::ModelInferResponse& message) {
  for (auto& output : *message.mutable_outputs()) output.clear_contents();
  auto& raw = *message.mutable_raw_output_contents();
  while (raw.size() > message.outputs_size()) raw.RemoveLast();
  while (raw.size() < message.outputs_size()) raw.Add();
}

template <typename Message>
std::string Deterministic(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

template <typename View, typename Message>
void CompareRewritten(Comparison& compare, const View& view, Message theirs) {
  InferWriter writer;
  std::vector<TensorSource> sources;
  const auto pieces = Rewrite(writer, view, sources);
  if (!pieces.ok()) return compare.Fail("the writer refused what the view had read");
  std::string bytes;
  for (const std::string_view piece : *pieces) {
    if (piece.empty()) compare.Fail("an empty piece");
    bytes.append(piece);
  }
  compare.Equal(bytes.size(), writer.size(), "bytes written");
  Message again;
  if (!again.ParseFromString(bytes)) return compare.Fail("Protobuf refuses what was written");
  theirs.DiscardUnknownFields();
  Normalize(theirs);
  if (Deterministic(again) != Deterministic(theirs)) compare.Fail("another message was written");
}

bool PassesTightLimits(const inference::ModelInferRequest& message) {
  return static_cast<size_t>(message.outputs_size()) <= kTight.requested_outputs;
}
bool PassesTightLimits(const inference::ModelInferResponse&) { return true; }

// A view with limits refuses what passes them, and reads the rest alike.
template <typename View, typename Message>
void CompareLimited(Comparison& compare, std::string_view bytes, const Message& theirs,
                    std::span<const TensorView> tensors) {
  View view;
  const absl::Status status = view.Parse(bytes, kTight);
  if (status.ok()) {
    Compare(compare, view, theirs);
    if (!PassesTightLimits(theirs) || tensors.size() > kTight.tensors) {
      compare.Fail("read in spite of a limit");
    }
    for (const TensorView& tensor : tensors) {
      if (tensor.shape.size() > kTight.dimensions) compare.Fail("too many dimensions were read");
    }
  } else if (status.message().find(" that are taken") == absl::string_view::npos) {
    compare.Fail("refused under limits for another reason");
  }
}

std::span<const TensorView> Tensors(const InferRequestView& view) { return view.inputs(); }
std::span<const TensorView> Tensors(const InferResponseView& view) { return view.outputs(); }

template <typename View, typename Message>
bool CompareMessage(Comparison& compare, std::string_view bytes, Message& theirs) {
  View ours;
  const absl::Status status = ours.Parse(bytes, kUnlimited);
  const bool parsed = theirs.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (status.ok() != parsed) {
    compare.Fail(fmt::format("{}: Protobuf {}; ours: {}", theirs.GetTypeName(),
                             parsed ? "takes it" : "refuses it", std::string(status.message())));
    return parsed;
  }
  if (!parsed) {
    View limited;
    if (limited.Parse(bytes, kTight).ok()) compare.Fail("malformed, but read under limits");
    return false;
  }
  Compare(compare, ours, theirs);
  CompareRewritten(compare, ours, theirs);
  CompareLimited<View>(compare, bytes, theirs, Tensors(ours));
  return true;
}

// In three pieces, cut where the input itself says.
void CompareScan(Comparison& compare, std::string_view bytes, bool parsed,
                 const inference::ModelInferRequest& theirs) {
  const size_t first = bytes.empty() ? 0 : static_cast<uint8_t>(bytes.back()) % bytes.size();
  const size_t second = (bytes.size() - first) / 2;
  const std::string_view pieces[] = {bytes.substr(0, first), bytes.substr(first, second),
                                     bytes.substr(first + second)};
  const auto head = ScanInferRequest(pieces);
  if (!head.ok()) {
    if (parsed) compare.Fail("the scan refuses a request");
    return;
  }
  if (!parsed) return;
  compare.Equal(head->model_name, theirs.model_name(), "model_name of the scan");
  compare.Equal(head->model_version, theirs.model_version(), "model_version of the scan");
  compare.Equal(head->id, theirs.id(), "id of the scan");
}

}  // namespace

std::string DifferenceFromProtobuf(std::string_view bytes) {
  // It logs every text that is not UTF-8.
  static const auto silent = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(silent);
  Comparison compare;
  inference::ModelInferRequest request;
  const bool parsed = CompareMessage<InferRequestView>(compare, bytes, request);
  CompareScan(compare, bytes, parsed, request);
  inference::ModelInferResponse response;
  CompareMessage<InferResponseView>(compare, bytes, response);
  return compare.text();
}

}  // namespace torchfleet::wire
