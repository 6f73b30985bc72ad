#include "cli/state/fleet_file.h"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

TEST_CASE("FleetFile: what is written is read; for its user alone", "[cli][state]") {
  const TemporaryFolder folder;
  setenv("TORCHFLEET_STATE_DIR", (folder.path() / "state").c_str(), 1);
  CHECK_FALSE(ReadFleetFile());
  FleetFile fleet;
  fleet.processes = {{"gateway", "127.0.0.1:1", "127.0.0.1:2", 3, true}};
  REQUIRE(WriteFleetFile(fleet).ok());
  const auto read = ReadFleetFile();
  REQUIRE(read);
  REQUIRE(read->processes.size() == 1);
  CHECK(read->AddressOf("gateway") == "127.0.0.1:1");
  CHECK(read->AddressOf("registry").empty());
  CHECK(read->processes[0].operator_address == "127.0.0.1:2");
  CHECK(read->processes[0].pid == 3);
  CHECK(read->processes[0].ready);
  struct stat status;
  REQUIRE(stat(FleetFilePath().parent_path().c_str(), &status) == 0);
  CHECK((status.st_mode & 077) == 0);
  RemoveFleetFile();
  CHECK_FALSE(ReadFleetFile());
}

TEST_CASE("FleetFile: a damaged file is none", "[cli][state]") {
  const TemporaryFolder folder;
  setenv("TORCHFLEET_STATE_DIR", folder.path().c_str(), 1);
  for (const char* text : {"", "{", "[]", "{\"processes\":1}", "{\"processes\":[{\"role\":1}]}"}) {
    CAPTURE(text);
    folder.Write("fleet.json", text);
    CHECK_FALSE(ReadFleetFile());
  }
}

}  // namespace
}  // namespace torchfleet::cli
