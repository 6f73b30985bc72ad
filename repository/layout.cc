#include "repository/layout.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "absl/strings/numbers.h"
#include "base/status.h"

namespace torchfleet::repository {
namespace {

namespace fs = std::filesystem;
using google::protobuf::TextFormat;
using inference::DataType;
using inference::ModelConfig;

// Keeps the first error and every warning; the parser warns of a field it does
// not know.
class ConfigErrors : public google::protobuf::io::ErrorCollector {
 public:
  ConfigErrors(std::string file, std::vector<std::string>* skipped)
      : file_(std::move(file)), skipped_(skipped) {}

  // The parser counts lines and columns from 0.
  void AddError(int line, int column, const std::string& message) override {
    if (error_.empty()) error_ = fmt::format("{}:{}:{}: {}", file_, line + 1, column + 1, message);
  }
  void AddWarning(int line, int column, const std::string& message) override {
    if (skipped_) {
      skipped_->push_back(fmt::format("{}:{}:{}: {}", file_, line + 1, column + 1, message));
    }
  }

  const std::string& error() const { return error_; }

 private:
  const std::string file_;
  std::vector<std::string>* const skipped_;
  std::string error_;
};

absl::Status CheckDims(const std::string& where,
                       const google::protobuf::RepeatedField<int64_t>& dims) {
  for (const int64_t dim : dims) {
    if (dim == 0 || dim < -1) {
      return absl::InvalidArgumentError(fmt::format(
          "{}.dims has {}; expected a size over 0, or -1 for one that varies", where, dim));
    }
  }
  return absl::OkStatus();
}

// Inputs and outputs have the same rules.
template <typename Tensors>
absl::Status CheckTensors(const std::string& kind, const Tensors& tensors) {
  if (tensors.empty()) {
    return absl::InvalidArgumentError(fmt::format("no {}; expected at least one", kind));
  }
  std::set<std::string> names;
  for (const auto& tensor : tensors) {
    if (tensor.name().empty()) {
      return absl::InvalidArgumentError(fmt::format("an {} has no name", kind));
    }
    const std::string where = fmt::format("{} '{}'", kind, Clip(tensor.name()));
    if (!names.insert(tensor.name()).second) {
      return absl::InvalidArgumentError(fmt::format("{} is there twice", where));
    }
    if (tensor.data_type() == DataType::TYPE_INVALID) {
      return absl::InvalidArgumentError(
          fmt::format("{} has no data_type; expected TYPE_FP32 or another", where));
    }
    RETURN_IF_ERROR(CheckDims(where, tensor.dims()));
  }
  return absl::OkStatus();
}

absl::Status CheckSupported(const ModelConfig& config) {
  for (const auto& group : config.instance_group()) {
    if (group.kind() == inference::ModelInstanceGroup::KIND_GPU || group.gpus_size() > 0) {
      return absl::InvalidArgumentError(
          "instance_group asks for a GPU; this server runs models on the CPU: use KIND_CPU");
    }
    if (group.count() < 0) {
      return absl::InvalidArgumentError(
          fmt::format("instance_group.count is {}; expected 0 or more", group.count()));
    }
  }
  if (config.has_ensemble_scheduling() || config.has_sequence_batching()) {
    return absl::InvalidArgumentError(
        "ensemble_scheduling and sequence_batching are not offered by this server");
  }
  if (config.model_transaction_policy().decoupled()) {
    return absl::InvalidArgumentError("decoupled models are not offered by this server");
  }
  return absl::OkStatus();
}

absl::Status CheckConfig(const std::string& model, const ModelConfig& config) {
  if (!config.name().empty() && config.name() != model) {
    return absl::InvalidArgumentError(
        fmt::format("name is '{}', but the folder is '{}'", Clip(config.name()), model));
  }
  if (const auto platform = Platform(config); !platform.ok()) return platform.status();
  if (config.max_batch_size() < 0) {
    return absl::InvalidArgumentError(
        fmt::format("max_batch_size is {}; expected 0 or more", config.max_batch_size()));
  }
  const std::string& file = config.default_model_filename();
  if (file.find('/') != std::string::npos || file == "..") {
    return absl::InvalidArgumentError(fmt::format(
        "default_model_filename is '{}'; expected the name of a file in the version's folder",
        Clip(file)));
  }
  RETURN_IF_ERROR(CheckTensors("input", config.input()));
  RETURN_IF_ERROR(CheckTensors("output", config.output()));
  return CheckSupported(config);
}

absl::Status NothingToServe(const fs::path& folder, const std::string& filename) {
  return absl::NotFoundError(
      fmt::format("{} holds no version to serve; expected a folder such as 1 with {} in it",
                  folder.string(), filename));
}

}  // namespace

bool IsModelName(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

absl::StatusOr<std::string> Platform(const ModelConfig& config) {
  const std::string& platform = config.platform();
  if (platform == "pytorch_libtorch" || platform == "torch_aoti") return platform;
  if (platform.empty() && config.backend() == "pytorch") return "pytorch_libtorch";
  if (platform.empty() && config.backend().empty()) {
    return absl::InvalidArgumentError(
        "neither platform nor backend is set; expected platform: \"pytorch_libtorch\" or "
        "\"torch_aoti\", or backend: \"pytorch\"");
  }
  return absl::InvalidArgumentError(
      fmt::format("platform is '{}' and backend is '{}'; expected platform \"pytorch_libtorch\" "
                  "or \"torch_aoti\", or backend \"pytorch\"",
                  Clip(platform), Clip(config.backend())));
}

std::string ModelFilename(const ModelConfig& config) {
  if (!config.default_model_filename().empty()) return config.default_model_filename();
  return Platform(config).value_or("") == "torch_aoti" ? "model.pt2" : "model.pt";
}

absl::StatusOr<ModelConfig> ReadConfig(const fs::path& root, const std::string& model,
                                       std::vector<std::string>* skipped) {
  if (!IsModelName(model)) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is no model name; expected letters, digits, '_', '-' and '.', at most "
                    "128 and none of them '.' in front",
                    Clip(model)));
  }
  const fs::path path = root / model / "config.pbtxt";
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(
        fmt::format("{} cannot be read; a model needs a config.pbtxt", path.string()));
  }
  google::protobuf::io::IstreamInputStream stream(&file);
  ConfigErrors errors(path.string(), skipped);
  TextFormat::Parser parser;
  parser.AllowUnknownField(true);
  parser.RecordErrorsTo(&errors);
  ModelConfig config;
  if (!parser.Parse(&stream, &config)) return absl::InvalidArgumentError(errors.error());
  if (const absl::Status status = CheckConfig(model, config); !status.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", path.string(), std::string(status.message())));
  }
  config.set_name(model);
  return config;
}

absl::StatusOr<std::vector<ModelVersion>> ListVersions(const fs::path& root,
                                                       const std::string& model,
                                                       const ModelConfig& config) {
  const fs::path folder = root / model;
  const std::string filename = ModelFilename(config);
  std::vector<ModelVersion> versions;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    int64_t number = 0;
    const bool digits =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
    if (!digits || name.front() == '0' || !absl::SimpleAtoi(name, &number)) continue;
    if (!fs::exists(entry.path() / filename, error)) continue;
    versions.push_back({model, number, entry.path(), entry.path() / filename});
  }
  std::sort(versions.begin(), versions.end(),
            [](const auto& a, const auto& b) { return a.version < b.version; });
  if (versions.empty()) return NothingToServe(folder, filename);
  return versions;
}

absl::StatusOr<std::vector<ModelVersion>> ServedVersions(const fs::path& root,
                                                         const std::string& model,
                                                         const ModelConfig& config) {
  ASSIGN_OR_RETURN(std::vector<ModelVersion> versions, ListVersions(root, model, config));
  const auto& policy = config.version_policy();
  if (policy.has_specific()) {
    const auto& wanted = policy.specific().versions();
    std::erase_if(versions, [&](const ModelVersion& v) {
      return std::find(wanted.begin(), wanted.end(), v.version) == wanted.end();
    });
  } else if (!policy.has_all()) {
    const size_t keep = std::max<size_t>(1, policy.latest().num_versions());
    if (versions.size() > keep) versions.erase(versions.begin(), versions.end() - keep);
  }
  if (versions.empty()) return NothingToServe(root / model, ModelFilename(config));
  return versions;
}

absl::StatusOr<std::vector<std::string>> ListModels(const fs::path& root) {
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    return absl::NotFoundError(
        fmt::format("{} is no folder; expected a model repository", root.string()));
  }
  std::vector<std::string> models;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    if (IsModelName(name) && fs::exists(entry.path() / "config.pbtxt", error)) {
      models.push_back(name);
    }
  }
  if (error) {
    return absl::PermissionDeniedError(
        fmt::format("{} cannot be listed: {}", root.string(), error.message()));
  }
  std::sort(models.begin(), models.end());
  return models;
}

}  // namespace torchfleet::repository
