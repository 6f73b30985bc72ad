#include "registry/catalogue/rules/model_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "registry/catalogue/rules/fields.h"

namespace torchfleet::registry {
namespace {

constexpr size_t kMaxPathBytes = 1024;

// A path that stays within the folder it is of.
absl::Status CheckPath(std::string_view field, const std::string& path) {
  RETURN_IF_ERROR(CheckText(field, path, kMaxPathBytes));
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  const bool inside = std::none_of(parts.begin(), parts.end(), [](const std::string& part) {
    return part.empty() || part == "." || part == "..";
  });
  if (inside && path.find('\\') == path.npos) return absl::OkStatus();
  return FieldError(field, fmt::format("is '{}'; expected a path within the version's folder, such "
                                       "as model.pt",
                                       Clip(path)));
}

bool IsSha256(std::string_view digest) {
  return digest.size() == 64 && std::all_of(digest.begin(), digest.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::Status CheckFiles(const std::string& field, const v1::ModelVersion& version) {
  if (version.files_size() > kMaxFiles) {
    return FieldError(
        field, fmt::format("has {} files; expected at most {}", version.files_size(), kMaxFiles));
  }
  std::set<std::string_view> paths;
  for (int i = 0; i < version.files_size(); ++i) {
    const v1::FileDigest& file = version.files(i);
    const std::string at = fmt::format("{}.files[{}]", field, i);
    RETURN_IF_ERROR(CheckPath(at + ".path", file.path()));
    if (!paths.insert(file.path()).second) {
      return FieldError(at + ".path", fmt::format("is '{}' a second time; expected each path once",
                                                  Clip(file.path())));
    }
    if (!IsSha256(file.sha256())) {
      return FieldError(at + ".sha256",
                        fmt::format("is '{}'; expected 64 hexadecimal digits in lower case",
                                    Clip(file.sha256())));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckVersions(const v1::Model& model) {
  if (model.versions_size() > kMaxVersions) {
    return FieldError("model.versions", fmt::format("has {} versions; expected at most {}",
                                                    model.versions_size(), kMaxVersions));
  }
  int64_t before = 0;
  for (int i = 0; i < model.versions_size(); ++i) {
    const v1::ModelVersion& version = model.versions(i);
    const std::string at = fmt::format("model.versions[{}]", i);
    RETURN_IF_ERROR(CheckVersion(at + ".version", version.version()));
    const int64_t number = VersionNumber(version.version());
    if (number <= before) {
      return FieldError(at + ".version",
                        fmt::format("is {} after {}; expected each version once, in the order of "
                                    "their numbers",
                                    number, before));
    }
    before = number;
    RETURN_IF_ERROR(CheckFiles(at, version));
    RETURN_IF_ERROR(CheckLabels(at + ".labels", version.labels()));
  }
  return absl::OkStatus();
}

absl::Status CheckAliases(const v1::Model& model) {
  if (model.aliases_size() > kMaxAliases) {
    return FieldError("model.aliases", fmt::format("has {} aliases; expected at most {}",
                                                   model.aliases_size(), kMaxAliases));
  }
  std::set<std::string_view> versions;
  for (const v1::ModelVersion& version : model.versions()) versions.insert(version.version());
  for (const auto& [alias, version] : model.aliases()) {
    const std::string at = fmt::format("model.aliases[{}]", Clip(alias));
    RETURN_IF_ERROR(CheckAlias(at, alias));
    if (!versions.contains(version)) {
      return FieldError(at, fmt::format("is version '{}', which the model does not have; expected "
                                        "one of its versions",
                                        Clip(version)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPlacement(const v1::Placement& placement) {
  const auto check = [](std::string_view field, uint32_t replicas) -> absl::Status {
    if (replicas <= kMaxReplicas) return absl::OkStatus();
    return FieldError(field, fmt::format("is {}; expected at most {}", replicas, kMaxReplicas));
  };
  RETURN_IF_ERROR(check("model.placement.replicas", placement.replicas()));
  RETURN_IF_ERROR(check("model.placement.max_replicas", placement.max_replicas()));
  if (placement.min_replicas() <= placement.max_replicas()) return absl::OkStatus();
  return FieldError("model.placement.min_replicas",
                    fmt::format("is {}; expected at most max_replicas, which is {}",
                                placement.min_replicas(), placement.max_replicas()));
}

}  // namespace

absl::Status CheckModel(const v1::Model& model) {
  RETURN_IF_ERROR(CheckName("model.name", model.name()));
  RETURN_IF_ERROR(CheckLabels("model.labels", model.labels()));
  RETURN_IF_ERROR(CheckVersions(model));
  RETURN_IF_ERROR(CheckAliases(model));
  RETURN_IF_ERROR(CheckPlacement(model.placement()));
  if (model.ByteSizeLong() > kMaxStoredBytes) {
    return FieldError("model", fmt::format("has {} bytes; expected at most {}",
                                           model.ByteSizeLong(), kMaxStoredBytes));
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::registry
