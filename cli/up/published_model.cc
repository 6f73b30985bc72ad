#include "cli/up/published_model.h"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/status.h"
#include "repository/file_digest.h"

namespace torchfleet::cli {
namespace {

namespace fs = std::filesystem;
using registry::v1::FileDigest;
using registry::v1::Model;
using registry::v1::ModelVersion;

const ModelVersion* FindVersion(const Model& model, const std::string& version) {
  for (const ModelVersion& known : model.versions()) {
    if (known.version() == version) return &known;
  }
  return nullptr;
}

const FileDigest* FindFile(const ModelVersion* version, const std::string& path) {
  if (!version) return nullptr;
  for (const FileDigest& file : version->files()) {
    if (file.path() == path) return &file;
  }
  return nullptr;
}

// The digest that is known, where nothing speaks against it.
std::string KnownDigest(const fs::path& file, const FileDigest* known, const Model& model) {
  struct stat info {};
  if (!known || stat(file.c_str(), &info) != 0 ||
      static_cast<uint64_t>(info.st_size) != known->size() ||
      info.st_mtim.tv_sec >= model.updated_at().seconds()) {
    return "";
  }
  return known->sha256();
}

}  // namespace

absl::StatusOr<Model> FoundModel(const fs::path& repository, const std::string& name,
                                 const std::vector<int64_t>& versions, const Model& known) {
  Model model;
  model.set_name(name);
  for (const int64_t number : versions) {
    ModelVersion& version = *model.add_versions();
    version.set_version(std::to_string(number));
    const fs::path folder = repository / name / version.version();
    std::set<fs::path> files;
    std::error_code error;
    for (fs::recursive_directory_iterator next(folder, error), end; !error && next != end;
         next.increment(error)) {
      if (next->is_regular_file(error)) files.insert(next->path());
    }
    if (error) {
      return absl::NotFoundError(fmt::format("{}: {}", folder.string(), error.message()));
    }
    const ModelVersion* known_version = FindVersion(known, version.version());
    for (const fs::path& path : files) {
      FileDigest& file = *version.add_files();
      file.set_path(path.lexically_relative(folder).string());
      file.set_size(fs::file_size(path, error));
      const FileDigest* known_file = FindFile(known_version, file.path());
      file.set_sha256(KnownDigest(path, known_file, known));
      if (!file.sha256().empty()) continue;
      ASSIGN_OR_RETURN(const std::string digest, repository::FileDigest(path));
      file.set_sha256(digest);
    }
  }
  return model;
}

std::optional<Model> BroughtUpToDate(const Model& known, const Model& found, int replicas) {
  Model wanted = known;
  *wanted.mutable_versions() = found.versions();
  std::set<std::string> numbers;
  for (ModelVersion& version : *wanted.mutable_versions()) {
    numbers.insert(version.version());
    if (const ModelVersion* before = FindVersion(known, version.version())) {
      *version.mutable_labels() = before->labels();
    }
  }
  for (const auto& [alias, version] : known.aliases()) {
    if (!numbers.contains(version)) wanted.mutable_aliases()->erase(alias);
  }
  if (replicas > 0) wanted.mutable_placement()->set_replicas(static_cast<uint32_t>(replicas));
  if (google::protobuf::util::MessageDifferencer::Equals(wanted, known)) return std::nullopt;
  return wanted;
}

}  // namespace torchfleet::cli
