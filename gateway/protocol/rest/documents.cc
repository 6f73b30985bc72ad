#include "gateway/protocol/rest/documents.h"

#include <nlohmann/json.hpp>

namespace torchfleet::gateway::rest {
namespace {

using Json = nlohmann::ordered_json;

// A name may come from anywhere; what is not UTF-8 becomes a mark.
std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Tensors(std::span<const TensorSpec> tensors) {
  Json list = Json::array();
  for (const TensorSpec& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"datatype", DataTypeName(tensor.datatype)},
                    {"shape", tensor.shape}});
  }
  return list;
}

// As TensorFlow calls it.
std::string_view V1DataType(wire::DataType datatype) {
  using wire::DataType;
  switch (datatype) {
    case DataType::kFp16:
      return "DT_HALF";
    case DataType::kBf16:
      return "DT_BFLOAT16";
    case DataType::kFp32:
      return "DT_FLOAT";
    case DataType::kFp64:
      return "DT_DOUBLE";
    case DataType::kBytes:
      return "DT_STRING";
    default:
      return {};
  }
}

Json V1Tensors(std::span<const TensorSpec> tensors) {
  Json members = Json::object();
  for (const TensorSpec& tensor : tensors) {
    Json dimensions = Json::array();
    for (const int64_t size : tensor.shape) {
      dimensions.push_back({{"size", std::to_string(size)}, {"name", ""}});
    }
    const std::string_view datatype = V1DataType(tensor.datatype);
    members[tensor.name] = {
        {"dtype", datatype.empty() ? "DT_" + std::string(DataTypeName(tensor.datatype))
                                   : std::string(datatype)},
        {"tensor_shape", {{"dim", dimensions}, {"unknown_rank", false}}},
        {"name", tensor.name}};
  }
  return members;
}

}  // namespace

std::string ServerMetadataDocument(std::string_view name, std::string_view version,
                                   std::span<const std::string> extensions) {
  Json list = Json::array();
  for (const std::string& extension : extensions) list.push_back(extension);
  return Text({{"name", name}, {"version", version}, {"extensions", list}});
}

std::string LiveDocument(bool yes) { return Text({{"live", yes}}); }

std::string ReadyDocument(bool yes) { return Text({{"ready", yes}}); }

std::string ModelReadyDocument(std::string_view model, bool yes) {
  return Text({{"name", model}, {"ready", yes}});
}

std::string ModelMetadataDocument(const ModelSpec& spec) {
  return Text({{"name", spec.name},
               {"versions", spec.versions},
               {"platform", spec.platform},
               {"inputs", Tensors(spec.inputs)},
               {"outputs", Tensors(spec.outputs)}});
}

std::string RepositoryIndexDocument(std::span<const ModelIndexEntry> models) {
  Json list = Json::array();
  for (const ModelIndexEntry& model : models) {
    list.push_back({{"name", model.name},
                    {"version", model.version},
                    {"state", model.state},
                    {"reason", model.reason}});
  }
  return Text(list);
}

std::string V1StatusDocument(std::span<const V1VersionStatus> versions) {
  Json list = Json::array();
  for (const V1VersionStatus& version : versions) {
    list.push_back(
        {{"version", version.version},
         {"state", version.state},
         {"status",
          {{"error_code", version.error_code}, {"error_message", version.error_message}}}});
  }
  return Text({{"model_version_status", list}});
}

std::string V1MetadataDocument(const ModelSpec& spec, std::string_view version) {
  const Json signature = {{"inputs", V1Tensors(spec.inputs)},
                          {"outputs", V1Tensors(spec.outputs)},
                          {"method_name", "tensorflow/serving/predict"}};
  // TensorFlow Serving has this name twice: a field, and the map inside it.
  const Json signatures = {{"signature_def", {{"serving_default", signature}}}};
  return Text({{"model_spec", {{"name", spec.name}, {"signature_name", ""}, {"version", version}}},
               {"metadata", {{"signature_def", signatures}}}});
}

}  // namespace torchfleet::gateway::rest
