#include "gateway/discover/fleet_file.h"

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "gateway/discover/fleet.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

std::string Text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void Write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

FiledFleet SomeFleet() {
  FiledFleet filed{.written = absl::FromUnixMillis(1234567890123)};
  filed.fleet = MakeSnapshot("life", {MakeEndpoint("a", "m", "1"), MakeEndpoint("b", "n", "10")});
  return filed;
}

TEST_CASE("FleetFile: reads what was written", "[gateway][fleet_file]") {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "fleet").string();
  CHECK(absl::IsNotFound(ReadFleetFile(path).status()));
  REQUIRE(WriteFleetFile(path, SomeFleet()).ok());
  const auto read = ReadFleetFile(path);
  REQUIRE(read.ok());
  CHECK(read->fleet.SerializeAsString() == SomeFleet().fleet.SerializeAsString());
  CHECK(read->written == SomeFleet().written);
  CHECK(Text(path).starts_with("torchfleet-fleet 1 "));
}

TEST_CASE("FleetFile: what is damaged or somebody else's is never taken for a fleet",
          "[gateway][fleet_file][faults]") {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "fleet").string();
  REQUIRE(WriteFleetFile(path, SomeFleet()).ok());
  const std::string whole = Text(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    Write(path, damaged);
    CHECK(absl::IsDataLoss(ReadFleetFile(path).status()));
    Write(path, whole.substr(0, at));
    CHECK(absl::IsDataLoss(ReadFleetFile(path).status()));
  }
  for (const std::string& foreign :
       {std::string("hello\n"), std::string(1000, '\0'), whole + "x"}) {
    Write(path, foreign);
    const absl::Status status = ReadFleetFile(path).status();
    CHECK(absl::IsDataLoss(status));
    CHECK(std::string(status.message()).find(path) != std::string::npos);
  }
}

TEST_CASE("FleetFile: a place that cannot be written to leaves the old file and says so",
          "[gateway][fleet_file][faults]") {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "nowhere" / "fleet").string();
  const absl::Status status = WriteFleetFile(path, SomeFleet());
  CHECK_FALSE(status.ok());
  CHECK(std::string(status.message()).find("nowhere") != std::string::npos);
}

TEST_CASE("FleetFileWriter: what was given last is there at its end", "[gateway][fleet_file]") {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "fleet").string();
  Fleet fleet;
  {
    FleetFileWriter writer(path);
    for (int i = 0; i < 100; ++i) {
      fleet.Apply(MakeDelta("life", {MakeEndpoint("w" + std::to_string(i), "m", "1")}, {}),
                  Instant());
      writer.Set(fleet.Snapshot(), fleet.incarnation());
    }
  }
  const auto read = ReadFleetFile(path);
  REQUIRE(read.ok());
  CHECK(read->fleet.snapshot().endpoints_size() == 100);
  Fleet again;
  again.Apply(read->fleet, Instant());
  CHECK(again.Snapshot().Version("m", "1")->ready == fleet.Snapshot().Version("m", "1")->ready);
}

}  // namespace
}  // namespace torchfleet::gateway
