#include "cli/catalogue/resource_text.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

TEST_CASE("ReadResource: text format and JSON, told apart by themselves", "[cli][catalogue]") {
  v1::Model text, json, again;
  REQUIRE(ReadResource("# ours\nname: 'm' versions { version: '3' }", "f", text).ok());
  REQUIRE(
      ReadResource("\n {\"name\": \"m\", \"versions\": [{\"version\": \"3\"}]}", "f", json).ok());
  CHECK(text.SerializeAsString() == json.SerializeAsString());
  text.set_revision(7);
  REQUIRE(ReadResource(AsJson(text), "f", again).ok());
  CHECK(again.SerializeAsString() == text.SerializeAsString());
}

TEST_CASE("ReadResource: says where a file is wrong", "[cli][catalogue]") {
  v1::Model model;
  const absl::Status text = ReadResource("name: 'm'\nversion { }", "m.textproto", model);
  CHECK(absl::IsInvalidArgument(text));
  CHECK(text.message().find("m.textproto is no Model in text format: line 2") != std::string::npos);
  const absl::Status json = ReadResource("{\"nmae\": 1}", "m.json", model);
  CHECK(absl::IsInvalidArgument(json));
  CHECK(json.message().find("m.json is no Model in JSON") != std::string::npos);
  CHECK(json.message().find("nmae") != std::string::npos);
}

}  // namespace
}  // namespace torchfleet::cli
