#pragma once
// What an AOTInductor package (.pt2) holds, and whether it can run here.
//
// The archive has <root>/data/aotinductor/<model>/ with the compiled library,
// what was known of the machine it was compiled on, and perhaps more that the
// library reads; <root>/data/constants/ with constants. Pure over a ByteSource.

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model-worker/load/archive_directory.h"
#include "model-worker/load/machine.h"

namespace torchfleet::worker {

// A file that the library needs in its folder, by its name there.
struct PackageFile {
  std::string name;
  ArchiveEntry entry;
};

struct AotiPackage {
  // Names of `files`; no blob where the weights are in the library.
  std::string library;
  std::string weights_blob;
  std::vector<PackageFile> files;
  // "AOTI_DEVICE_KEY": "cpu", and so on.
  std::map<std::string, std::string> metadata;
};

// `entries` as ReadArchiveDirectory gives them. The model named "model", as
// torch names it, or the only one. FAILED_PRECONDITION, saying what came and
// what was expected, when there is none, when it has no compiled library, or
// when it is of a form that this worker does not know.
absl::StatusOr<AotiPackage> ReadAotiPackage(const ByteSource& archive,
                                            const std::vector<ArchiveEntry>& entries);

// FAILED_PRECONDITION when the package was compiled for another device, platform
// or processor. It may use more of the processor than it says: torch compiles
// with -march=native.
absl::Status CheckMachine(const AotiPackage& package, const Machine& machine);

}  // namespace torchfleet::worker
