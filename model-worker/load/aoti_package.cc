#include "model-worker/load/aoti_package.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>

#include "base/status.h"
#include "model-worker/load/archive_contents.h"

namespace torchfleet::worker {
namespace {

constexpr char kHowToMake[] =
    "expected what torch._inductor.aoti_compile_and_package(…) of torch 2.13 writes";
constexpr size_t kMaxMetadata = 64 << 10;

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// What follows `folder` in a name, also behind one part that is the archive's
// root; empty when it is not in the folder.
std::string_view Below(std::string_view folder, std::string_view name) {
  for (int i = 0; i < 2; ++i) {
    if (name.substr(0, folder.size()) == folder) return name.substr(folder.size());
    const size_t slash = name.find('/');
    if (slash == std::string_view::npos) break;
    name.remove_prefix(slash + 1);
  }
  return {};
}

std::string_view ModelOf(const ArchiveEntry& entry) {
  const std::string_view below = Below("data/aotinductor/", entry.name);
  const size_t slash = below.find('/');
  return slash == std::string_view::npos ? std::string_view() : below.substr(0, slash);
}

absl::StatusOr<std::string> ChooseModel(const std::vector<ArchiveEntry>& entries) {
  std::set<std::string> models;
  for (const ArchiveEntry& entry : entries) {
    if (const std::string_view model = ModelOf(entry); !model.empty()) models.emplace(model);
  }
  if (models.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("it holds no AOTInductor model; {}", kHowToMake));
  }
  if (models.count("model") > 0) return "model";
  if (models.size() == 1) return *models.begin();
  return absl::FailedPreconditionError(
      fmt::format("it holds {} AOTInductor models, '{}' among them; expected one, or one named "
                  "'model'",
                  models.size(), Clip(*models.begin())));
}

// Sources and object files stay where they are.
bool IsNeeded(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && !EndsWith(name, ".cpp") &&
         !EndsWith(name, ".o") && !EndsWith(name, ".h");
}

absl::Status TakeFiles(const std::vector<ArchiveEntry>& entries, const std::string& model,
                       AotiPackage& package) {
  std::set<std::string_view> names;
  for (const ArchiveEntry& entry : entries) {
    std::string_view name = Below("data/constants/", entry.name);
    if (name.empty()) name = Below("data/aotinductor/" + model + "/", entry.name);
    if (!IsNeeded(name)) continue;
    if (!names.insert(name).second) {
      return absl::FailedPreconditionError(
          fmt::format("two files are '{}' in the folder that the model runs in", Clip(name, 128)));
    }
    std::string* const role = EndsWith(name, ".so")     ? &package.library
                              : EndsWith(name, ".blob") ? &package.weights_blob
                                                        : nullptr;
    if (role != nullptr) {
      if (!role->empty()) {
        return absl::FailedPreconditionError(fmt::format(
            "it holds both '{}' and '{}'; expected one", Clip(*role, 128), Clip(name, 128)));
      }
      *role = name;
    }
    package.files.push_back({std::string(name), entry});
  }
  if (package.library.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("its model '{}' has no compiled library (.so); {}", Clip(model), kHowToMake));
  }
  return absl::OkStatus();
}

absl::Status ReadMetadata(const ByteSource& archive, AotiPackage& package) {
  const std::string name = package.library.substr(0, package.library.size() - 3) + "_metadata.json";
  const auto found = std::find_if(package.files.begin(), package.files.end(),
                                  [&](const PackageFile& file) { return file.name == name; });
  if (found == package.files.end()) {
    return absl::FailedPreconditionError(
        fmt::format("it does not say what it was compiled for: '{}' is missing; {}",
                    Clip(name, 128), kHowToMake));
  }
  ASSIGN_OR_RETURN(const std::string text, ReadArchiveEntry(archive, found->entry, kMaxMetadata));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return absl::FailedPreconditionError(
        fmt::format("'{}' is no JSON object; {}", Clip(name, 128), kHowToMake));
  }
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) package.metadata[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

// The archive's own version, where it has one.
absl::Status CheckForm(const ByteSource& archive, const std::vector<ArchiveEntry>& entries) {
  for (const ArchiveEntry& entry : entries) {
    const std::string_view name = entry.name;
    const size_t slash = name.find('/');
    if (name.substr(slash == std::string_view::npos ? 0 : slash + 1) != "archive_version") continue;
    ASSIGN_OR_RETURN(const std::string version, ReadArchiveEntry(archive, entry, 64));
    if (version == "0") continue;
    return absl::FailedPreconditionError(
        fmt::format("it is a package of version '{}', made by another torch; expected 0: {}",
                    Clip(version), kHowToMake));
  }
  return absl::OkStatus();
}

std::string Metadata(const AotiPackage& package, const std::string& key) {
  const auto found = package.metadata.find(key);
  return found == package.metadata.end() ? "" : found->second;
}

// The processor's names for one of torch's instruction sets.
std::vector<std::string> Features(const std::string& set) {
  if (set == "INVALID_VEC_ISA") return {};
  if (set == "AVX2") return {"avx2", "fma", "f16c"};
  if (set == "AVX512") return {"avx512f", "avx512dq", "avx512vl", "avx512bw", "fma"};
  if (set == "NEON" || set == "ASIMD") return {"asimd"};
  if (set.rfind("SVE", 0) == 0) return {"sve"};
  std::string lower = set;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {lower};
}

absl::Status CheckProcessor(const std::string& sets, const Machine& machine) {
  std::istringstream words(sets);
  for (std::string set; words >> set;) {
    for (const std::string& feature : Features(set)) {
      if (machine.cpu_features.count(feature) > 0) continue;
      return absl::FailedPreconditionError(fmt::format(
          "it was compiled for a processor with {}; this machine's has no {}: compile it on a "
          "machine like this one",
          Clip(sets), Clip(feature)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AotiPackage> ReadAotiPackage(const ByteSource& archive,
                                            const std::vector<ArchiveEntry>& entries) {
  RETURN_IF_ERROR(CheckForm(archive, entries));
  ASSIGN_OR_RETURN(const std::string model, ChooseModel(entries));
  AotiPackage package;
  RETURN_IF_ERROR(TakeFiles(entries, model, package));
  RETURN_IF_ERROR(ReadMetadata(archive, package));
  return package;
}

absl::Status CheckMachine(const AotiPackage& package, const Machine& machine) {
  const std::string device = Metadata(package, "AOTI_DEVICE_KEY");
  if (device != "cpu") {
    return absl::FailedPreconditionError(
        fmt::format("it was compiled for the device '{}'; this worker runs models on the CPU: "
                    "export and compile it with model and inputs there",
                    Clip(device)));
  }
  const std::pair<std::string, std::string> parts[] = {
      {Metadata(package, "AOTI_PLATFORM"), machine.platform},
      {Metadata(package, "AOTI_MACHINE"), machine.architecture}};
  for (const auto& [came, expected] : parts) {
    if (came.empty() || came == expected) continue;
    return absl::FailedPreconditionError(
        fmt::format("it was compiled for '{}'; this machine is '{}'", Clip(came), expected));
  }
  return CheckProcessor(Metadata(package, "AOTI_CPU_ISA"), machine);
}

}  // namespace torchfleet::worker
