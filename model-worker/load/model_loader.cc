#include "model-worker/load/model_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/load/model_digest.h"
#include "model-worker/load/serving_rules.h"
#include "model-worker/load/settings.h"

namespace torchfleet::worker {
namespace {

wire::DataType WireType(inference::DataType type) {
  using wire::DataType;
  switch (type) {
    case inference::TYPE_BOOL:
      return DataType::kBool;
    case inference::TYPE_UINT8:
      return DataType::kUint8;
    case inference::TYPE_UINT16:
      return DataType::kUint16;
    case inference::TYPE_UINT32:
      return DataType::kUint32;
    case inference::TYPE_UINT64:
      return DataType::kUint64;
    case inference::TYPE_INT8:
      return DataType::kInt8;
    case inference::TYPE_INT16:
      return DataType::kInt16;
    case inference::TYPE_INT32:
      return DataType::kInt32;
    case inference::TYPE_INT64:
      return DataType::kInt64;
    case inference::TYPE_FP16:
      return DataType::kFp16;
    case inference::TYPE_BF16:
      return DataType::kBf16;
    case inference::TYPE_FP64:
      return DataType::kFp64;
    case inference::TYPE_STRING:
      return DataType::kBytes;
    default:
      return DataType::kFp32;  // a config with TYPE_INVALID was refused
  }
}

// The same elements, whatever the dimensions that vary are.
absl::Status CheckReshape(const TensorSpec& spec) {
  const auto fixed = [](const std::vector<int64_t>& shape) {
    std::vector<int64_t> dimensions;
    std::copy_if(shape.begin(), shape.end(), std::back_inserter(dimensions),
                 [](int64_t dimension) { return dimension >= 0; });
    return dimensions;
  };
  const std::vector<int64_t> outside = fixed(spec.shape), inside = fixed(*spec.inside);
  int64_t elements = 0, elements_inside = 0;
  if (spec.shape.size() - outside.size() == spec.inside->size() - inside.size() &&
      ElementCount(outside, &elements) && ElementCount(inside, &elements_inside) &&
      elements == elements_inside) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "'{}' has shape {} and a reshape to {}; expected as many elements and as many dimensions "
      "that vary",
      Clip(spec.name), ShapeText(spec.shape), ShapeText(*spec.inside)));
}

template <typename Tensor>
absl::StatusOr<TensorSpec> Spec(const Tensor& tensor, bool batched) {
  TensorSpec spec;
  spec.name = tensor.name();
  spec.type = WireType(tensor.data_type());
  if (batched) spec.shape.push_back(-1);
  spec.shape.insert(spec.shape.end(), tensor.dims().begin(), tensor.dims().end());
  if (!tensor.has_reshape()) return spec;
  std::vector<int64_t>& inside = spec.inside.emplace();
  if (batched) inside.push_back(-1);
  inside.insert(inside.end(), tensor.reshape().shape().begin(), tensor.reshape().shape().end());
  RETURN_IF_ERROR(CheckReshape(spec));
  return spec;
}

absl::StatusOr<ModelSpec> MakeSpec(const inference::ModelConfig& config, int64_t version) {
  ModelSpec spec;
  spec.name = config.name();
  spec.version = std::to_string(version);
  ASSIGN_OR_RETURN(spec.platform, repository::Platform(config));
  spec.max_batch_size = config.max_batch_size();
  const bool batched = spec.max_batch_size > 0;
  for (const auto& input : config.input()) {
    ASSIGN_OR_RETURN(TensorSpec tensor, Spec(input, batched));
    tensor.optional = input.optional();
    spec.inputs.push_back(std::move(tensor));
  }
  for (const auto& output : config.output()) {
    ASSIGN_OR_RETURN(TensorSpec tensor, Spec(output, batched));
    spec.outputs.push_back(std::move(tensor));
  }
  int instances = 0;
  for (const auto& group : config.instance_group()) instances += std::max(1, group.count());
  spec.instances = std::max(1, instances);
  for (const auto& [name, value] : config.parameters()) {
    spec.parameters[name] = value.string_value();
  }
  RETURN_IF_ERROR(ReadSettings(spec.parameters));
  RETURN_IF_ERROR(ReadServingRules(config, spec));
  return spec;
}

}  // namespace

absl::StatusOr<RepositoryModel> ReadModel(const std::filesystem::path& repository,
                                          const std::string& model, int64_t version) {
  RepositoryModel result;
  std::vector<std::string> skipped;
  ASSIGN_OR_RETURN(result.config, repository::ReadConfig(repository, model, &skipped));
  for (const std::string& field : skipped) {
    LogWarning("a field of config.pbtxt is skipped", {{"field", field}});
  }
  // A version that is named is served whatever the policy says: whoever named it
  // may still need it while another takes its place.
  ASSIGN_OR_RETURN(const auto versions,
                   version == 0 ? repository::ServedVersions(repository, model, result.config)
                                : repository::ListVersions(repository, model, result.config));
  const auto found = version == 0
                         ? versions.end() - 1
                         : std::find_if(versions.begin(), versions.end(),
                                        [&](const auto& v) { return v.version == version; });
  if (found == versions.end()) {
    return absl::NotFoundError(
        fmt::format("version {} of model '{}' is not in the repository; the highest there is {}",
                    version, model, versions.back().version));
  }
  result.version = *found;
  ASSIGN_OR_RETURN(result.spec, MakeSpec(result.config, result.version.version));
  for (const std::string& name : Unheeded(result.spec.parameters)) {
    LogWarning("a parameter of config.pbtxt is not heeded", {{"parameter", name}});
  }
  return result;
}

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const RepositoryModel& model,
                                                 const ModelLoader& loader) {
  ASSIGN_OR_RETURN(const ModelFile file, ModelFile::Open(model.version.model_file));
  RETURN_IF_ERROR(file.About(CheckDigest(file, model.spec)));
  auto loaded = loader(file, model.spec);
  // Also where it failed: half a file that another process still writes.
  RETURN_IF_ERROR(file.CheckUnchanged());
  return loaded;
}

}  // namespace torchfleet::worker
