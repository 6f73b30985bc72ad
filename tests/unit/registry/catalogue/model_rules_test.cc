#include "registry/catalogue/rules/model_rules.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

#include "base/status.h"
#include "registry/catalogue/rules/fields.h"
#include "tests/unit/registry/catalogue/messages.h"

namespace torchfleet::registry {
namespace {

const std::string kDigest(64, 'a');

TEST_CASE("CheckModel: takes whole models", "[registry][catalogue]") {
  const std::string text = GENERATE(
      as<std::string>{}, "name: 'm'", "name: 'a model of ours'", "name: 'm\xC3\xA9l'",
      "name: 'm' versions { version: '9223372036854775807' }",
      "name: 'm' versions { version: '9' } versions { version: '10' }",
      "name: 'm' versions { version: '1' files { path: 'a/model.pt' size: 3 sha256: '" + kDigest +
          "' } labels { key: 'k' value: '' } }",
      "name: 'm' versions { version: '7' } aliases { key: 'p.R-o_d2' value: '7' }",
      "name: 'm' placement { replicas: 10000 unloaded: true resources { cpu_millis: 500 } }",
      "name: 'm' placement { replicas: 9 min_replicas: 2 max_replicas: 2 }",
      "name: 'm' placement { max_replicas: 10000 }");
  CAPTURE(text);
  CHECK(CheckModel(AModel(text)) == absl::OkStatus());
}

struct Wrong {
  std::string text, field;
};

TEST_CASE("CheckModel: names the field that is wrong", "[registry][catalogue]") {
  const std::string long_text(kMaxNameBytes + 1, 'x');
  const std::string file = "name: 'm' versions { version: '1' files { ";
  const Wrong wrong = GENERATE_COPY(
      as<Wrong>{}, Wrong{"", "model.name"}, Wrong{"name: 'a/b'", "model.name"},
      Wrong{"name: 'a\\\\b'", "model.name"}, Wrong{"name: '../x'", "model.name"},
      Wrong{"name: 'a\\000b'", "model.name"}, Wrong{"name: '" + long_text + "'", "model.name"},
      Wrong{"name: 'm' labels { key: '' value: 'x' }", "model.labels[]"},
      Wrong{"name: 'm' labels { key: 'k' value: '" + long_text + "' }", "model.labels[k]"},
      Wrong{"name: 'm' labels { key: 'k' value: 'a\\nb' }", "model.labels[k]"},
      Wrong{"name: 'm' versions { version: '' }", "model.versions[0].version"},
      Wrong{"name: 'm' versions { version: '0' }", "model.versions[0].version"},
      Wrong{"name: 'm' versions { version: '01' }", "model.versions[0].version"},
      Wrong{"name: 'm' versions { version: '-1' }", "model.versions[0].version"},
      Wrong{"name: 'm' versions { version: '9223372036854775808' }", "model.versions[0].version"},
      Wrong{"name: 'm' versions { version: '2' } versions { version: '2' }",
            "model.versions[1].version"},
      Wrong{"name: 'm' versions { version: '10' } versions { version: '9' }",
            "model.versions[1].version"},
      Wrong{"name: 'm' versions { version: '1' labels { key: 'k' value: '" + long_text + "' } }",
            "model.versions[0].labels[k]"},
      Wrong{file + "sha256: '" + kDigest + "' } }", "model.versions[0].files[0].path"},
      Wrong{file + "path: '/etc/x' sha256: '" + kDigest + "' } }",
            "model.versions[0].files[0].path"},
      Wrong{file + "path: 'a/../../x' sha256: '" + kDigest + "' } }",
            "model.versions[0].files[0].path"},
      Wrong{file + "path: 'm.pt' sha256: 'abc' } }", "model.versions[0].files[0].sha256"},
      Wrong{file + "path: 'm.pt' sha256: '" + std::string(64, 'A') + "' } }",
            "model.versions[0].files[0].sha256"},
      Wrong{file + "path: 'm' sha256: '" + kDigest + "' } files { path: 'm' sha256: '" + kDigest +
                "' } }",
            "model.versions[0].files[1].path"},
      Wrong{"name: 'm' aliases { key: 'prod' value: '1' }", "model.aliases[prod]"},
      Wrong{"name: 'm' versions { version: '1' } aliases { key: '1st' value: '1' }",
            "model.aliases[1st]"},
      Wrong{"name: 'm' versions { version: '1' } aliases { key: '' value: '1' }",
            "model.aliases[]"},
      Wrong{"name: 'm' versions { version: '1' } aliases { key: 'a b' value: '1' }",
            "model.aliases[a b]"},
      Wrong{"name: 'm' placement { replicas: 10001 }", "model.placement.replicas"},
      Wrong{"name: 'm' placement { max_replicas: 10001 }", "model.placement.max_replicas"},
      Wrong{"name: 'm' placement { min_replicas: 1 }", "model.placement.min_replicas"},
      Wrong{"name: 'm' placement { min_replicas: 3 max_replicas: 2 }",
            "model.placement.min_replicas"});
  CAPTURE(wrong.text);
  const absl::Status status = CheckModel(AModel(wrong.text));
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == wrong.field);
  CHECK(status.message().substr(0, wrong.field.size()) == wrong.field);
}

TEST_CASE("CheckModel: has limits", "[registry][catalogue]") {
  v1::Model model = AModel("name: 'm'");
  std::string field;
  SECTION("of labels") {
    for (size_t i = 0; i <= kMaxLabels; ++i) (*model.mutable_labels())[std::to_string(i)] = "x";
    field = "model.labels";
  }
  SECTION("of versions") {
    for (int i = 1; i <= kMaxVersions + 1; ++i) {
      model.add_versions()->set_version(std::to_string(i));
    }
    field = "model.versions";
  }
  SECTION("of files") {
    v1::ModelVersion& version = *model.add_versions();
    version.set_version("1");
    for (int i = 0; i <= kMaxFiles; ++i) version.add_files();
    field = "model.versions[0]";
  }
  SECTION("of bytes in sum") {
    for (int v = 1; v <= 40; ++v) {
      v1::ModelVersion& version = *model.add_versions();
      version.set_version(std::to_string(v));
      for (int f = 0; f < 100; ++f) {
        v1::FileDigest& file = *version.add_files();
        file.set_path("file" + std::to_string(f));
        file.set_sha256(kDigest);
      }
    }
    field = "model";
  }
  const absl::Status status = CheckModel(model);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status) == field);
}

}  // namespace
}  // namespace torchfleet::registry
