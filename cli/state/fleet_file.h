#pragma once
// Where `torchfleet up` leaves the addresses of the fleet it runs, so that
// `infer` and `status` find it without flags.
//
// <state folder>/fleet.json; the folder is TORCHFLEET_STATE_DIR, or
// torchfleet-<uid> in XDG_RUNTIME_DIR or /tmp, readable by its user alone.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace torchfleet::cli {

// A process that belongs to the fleet.
struct FleetProcess {
  std::string role;
  std::string address;
  std::string operator_address;
  int64_t pid = 0;
  bool ready = false;
};

struct FleetFile {
  std::vector<FleetProcess> processes;

  // The address of the first process of that role, or "".
  std::string AddressOf(const std::string& role) const;
};

std::filesystem::path FleetFilePath();

// Replaces the file atomically.
absl::Status WriteFleetFile(const FleetFile& fleet);
// Nothing when no fleet runs here.
std::optional<FleetFile> ReadFleetFile();
void RemoveFleetFile();

// The gateway that was named, or that of the fleet that runs here; UNAVAILABLE
// without either.
absl::StatusOr<std::string> GatewayAddress(const std::string& named);

}  // namespace torchfleet::cli
