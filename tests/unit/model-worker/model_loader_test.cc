#include "model-worker/load/model_loader.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr char kDigits[] = R"(
backend: "pytorch"
max_batch_size: 64
version_policy { all {} }
input { name: "x" data_type: TYPE_FP32 dims: [1, 28, 28] }
input { name: "hint" data_type: TYPE_STRING dims: -1 optional: true }
output { name: "y" data_type: TYPE_BF16 dims: 10 }
instance_group { count: 2 }
instance_group { kind: KIND_CPU }
parameters { key: "INTRA_OP_THREAD_COUNT" value { string_value: "2" } }
)";

absl::StatusOr<RepositoryModel> Read(const std::string& config, int64_t version = 0) {
  const TemporaryFolder root;
  root.Write("digits/config.pbtxt", config);
  root.Write("digits/3/model.pt", "");
  root.Write("digits/12/model.pt", "");
  return ReadModel(root.path(), "digits", version);
}

TEST_CASE("ReadModel: what the model takes and gives, in the wire's terms", "[worker][load]") {
  const auto model = Read(kDigits);
  REQUIRE(model.ok());
  const ModelSpec& spec = model->spec;
  CHECK(spec.name == "digits");
  CHECK(spec.version == "12");
  CHECK(spec.platform == "pytorch_libtorch");
  CHECK(spec.max_batch_size == 64);
  CHECK(spec.inputs[0].shape == std::vector<int64_t>{-1, 1, 28, 28});
  CHECK(spec.inputs[1].type == wire::DataType::kBytes);
  CHECK(spec.inputs[1].optional);
  CHECK(spec.outputs[0].type == wire::DataType::kBf16);
  CHECK(spec.instances == 3);
  CHECK(spec.parameters.at("INTRA_OP_THREAD_COUNT") == "2");
}

TEST_CASE("ReadModel: without a batch the dims are the whole shape", "[worker][load]") {
  const auto model = Read(
      "backend: \"pytorch\" input { name: \"x\" data_type: TYPE_INT8 dims: 4 }"
      "output { name: \"y\" data_type: TYPE_UINT64 }");
  REQUIRE(model.ok());
  CHECK(model->spec.inputs[0].shape == std::vector<int64_t>{4});
  CHECK(model->spec.outputs[0].shape.empty());
  CHECK(model->spec.instances == 1);
}

TEST_CASE("ReadModel: a version by number, or NOT_FOUND", "[worker][load]") {
  CHECK(Read(kDigits, 3).value().spec.version == "3");
  for (const int64_t version : {1, 4, 13, -1}) {
    CHECK(absl::IsNotFound(Read(kDigits, version).status()));
  }
  const TemporaryFolder empty;
  CHECK(absl::IsNotFound(ReadModel(empty.path(), "digits", 0).status()));
}

TEST_CASE("ReadModel: a version that is named goes before the policy", "[worker][load]") {
  std::string latest = kDigits;
  latest.replace(latest.find("all {}"), 6, "latest {}");
  CHECK(Read(latest).value().spec.version == "12");
  CHECK(Read(latest, 3).value().spec.version == "3");
}

TEST_CASE("ReadModel: a reshape has as many elements, or is refused", "[worker][load]") {
  const auto read = [](const std::string& dims) {
    const TemporaryFolder root;
    root.Write("m/config.pbtxt",
               "backend: \"pytorch\" max_batch_size: 2 input { name: \"x\" "
               "data_type: TYPE_INT8 " +
                   dims +
                   " }\n"
                   "output { name: \"y\" data_type: TYPE_INT8 dims: 1 }\n");
    root.Write("m/1/model.pt", "");
    return ReadModel(root.path(), "m", 0);
  };
  const auto model = read("dims: 4 reshape { shape: [2, 2] }");
  REQUIRE(model.ok());
  CHECK(model->spec.inputs[0].inside == std::vector<int64_t>{-1, 2, 2});
  CHECK(read("dims: 1 reshape { shape: [] }")->spec.inputs[0].inside == std::vector<int64_t>{-1});
  for (const char* wrong :
       {"dims: 4 reshape { shape: [2, 3] }", "dims: -1 reshape { shape: [2] }"}) {
    const auto refused = read(wrong);
    CHECK(absl::IsInvalidArgument(refused.status()));
    CHECK_THAT(std::string(refused.status().message()), ContainsSubstring("'x' has shape"));
  }
}

}  // namespace
}  // namespace torchfleet::worker
