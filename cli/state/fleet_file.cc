#include "cli/state/fleet_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

namespace fs = std::filesystem;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Somebody else's folder in /tmp is not ours to trust.
bool IsOurs(const fs::path& folder) {
  struct stat info {};
  return lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == getuid();
}

}  // namespace

std::string FleetFile::AddressOf(const std::string& role) const {
  for (const FleetProcess& process : processes) {
    if (process.role == role) return process.address;
  }
  return "";
}

fs::path FleetFilePath() {
  if (const std::string own = Environment("TORCHFLEET_STATE_DIR"); !own.empty()) {
    return fs::path(own) / "fleet.json";
  }
  const std::string runtime = Environment("XDG_RUNTIME_DIR");
  const fs::path parent = runtime.empty() ? "/tmp" : runtime;
  return parent / fmt::format("torchfleet-{}", getuid()) / "fleet.json";
}

absl::Status WriteFleetFile(const FleetFile& fleet) {
  const fs::path path = FleetFilePath();
  const fs::path folder = path.parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (!IsOurs(folder)) {
    return absl::PermissionDeniedError(fmt::format(
        "{} is not this user's folder; name another with TORCHFLEET_STATE_DIR", folder.string()));
  }
  fs::permissions(folder, fs::perms::owner_all, error);
  nlohmann::ordered_json processes = nlohmann::ordered_json::array();
  for (const FleetProcess& process : fleet.processes) {
    processes.push_back({{"role", process.role},
                         {"address", process.address},
                         {"operator_address", process.operator_address},
                         {"pid", process.pid},
                         {"ready", process.ready}});
  }
  const fs::path temporary = folder / fmt::format(".fleet.json.{}", getpid());
  {
    std::ofstream stream(temporary);
    stream << nlohmann::ordered_json{{"processes", processes}}.dump(1) << "\n";
    stream.flush();
    if (!stream) return absl::InternalError(fmt::format("{} cannot be written", path.string()));
  }
  fs::rename(temporary, path, error);
  if (error) return absl::InternalError(fmt::format("{}: {}", path.string(), error.message()));
  return absl::OkStatus();
}

std::optional<FleetFile> ReadFleetFile() {
  const fs::path path = FleetFilePath();
  if (!IsOurs(path.parent_path())) return std::nullopt;
  std::ifstream stream(path);
  if (!stream) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(stream);
    FleetFile fleet;
    for (const nlohmann::json& process :
         json.at("processes").get_ref<const nlohmann::json::array_t&>()) {
      fleet.processes.push_back({process.at("role"), process.at("address"),
                                 process.at("operator_address"), process.at("pid"),
                                 process.at("ready")});
    }
    return fleet;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // another program's, or damaged: as good as none
  }
}

void RemoveFleetFile() {
  std::error_code ignored;
  fs::remove(FleetFilePath(), ignored);
}

absl::StatusOr<std::string> GatewayAddress(const std::string& named) {
  if (!named.empty()) return named;
  const auto fleet = ReadFleetFile();
  const std::string address = fleet ? fleet->AddressOf("gateway") : "";
  if (!address.empty()) return address;
  return absl::UnavailableError(
      "no fleet runs here; start one with torchfleet up, or name a gateway with --gateway");
}

}  // namespace torchfleet::cli
