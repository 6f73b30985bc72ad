#include "trainer/spec/read_spec.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::trainer {
namespace {

constexpr char kSpec[] = R"(model: "m"
train { csv { file: "train.csv" } }
test { npy { inputs: "x.npy" targets: "/data/y.npy" } scale: 0.5 }
input_shape: [1, 2, 2]
layers { conv2d { filters: 4 kernel: 2 padding: 1 } }
layers { max_pool2d { kernel: 2 } }
layers { flatten {} }
layers { dropout { rate: 0.25 } }
layers { dense { units: 3 } }
layers { softmax {} }
loss: LOSS_SPARSE_CROSS_ENTROPY
optimizer { adamw { beta1: 0.8 } learning_rate: 0.01 weight_decay: 0.1
            schedule { step { every_epochs: 2 factor: 0.5 } } }
epochs: 4
batch_size: 16
seed: 7
)";

absl::StatusOr<TrainSpec> Read(const TemporaryFolder& folder, const std::string& text) {
  folder.Write("spec.textproto", text);
  return ReadSpec(folder.path() / "spec.textproto");
}

std::string Replaced(std::string text, const std::string& part, const std::string& by) {
  const size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), by);
}

TEST_CASE("ReadSpec: every field as it is written, defaults where it is not", "[trainer][spec]") {
  const TemporaryFolder folder;
  const auto read = Read(folder, kSpec);
  REQUIRE(read.ok());
  const TrainSpec& spec = *read;
  CHECK(spec.model == "m");
  CHECK(std::get<CsvSource>(spec.train.source).file == folder.path() / "train.csv");
  CHECK(std::get<CsvSource>(spec.train.source).target_columns == 1);
  CHECK(spec.train.scale == 1);
  CHECK(std::get<NpySource>(spec.test.source).targets == "/data/y.npy");
  CHECK(spec.test.scale == 0.5);
  CHECK(spec.input_shape == std::vector<int64_t>{1, 2, 2});
  REQUIRE(spec.layers.size() == 6);
  CHECK(spec.layers[0].kind == LayerSpec::Kind::kConv2d);
  CHECK(spec.layers[0].units == 4);
  CHECK(spec.layers[0].stride == 1);
  CHECK(spec.layers[0].padding == 1);
  CHECK(spec.layers[1].stride == 2);  // the window's size
  CHECK(spec.layers[3].rate == 0.25);
  CHECK(spec.optimizer.kind == OptimizerSpec::Kind::kAdamW);
  CHECK(spec.optimizer.beta1 == 0.8);
  CHECK(spec.optimizer.beta2 == 0.999);
  CHECK(spec.optimizer.weight_decay == 0.1);
  CHECK(spec.optimizer.schedule.kind == ScheduleSpec::Kind::kStep);
  CHECK(spec.optimizer.schedule.every_epochs == 2);
  CHECK(spec.epochs == 4);
  CHECK(spec.batch_size == 16);
  CHECK(spec.seed == 7);
  CHECK(spec.input_name == "input");
  CHECK(spec.output_name == "output");
  CHECK(spec.max_batch_size == 64);
  CHECK(spec.text == kSpec);
}

TEST_CASE("ReadSpec: names the file and the line of what it cannot read", "[trainer][spec]") {
  const TemporaryFolder folder;
  const absl::Status status = Read(folder, Replaced(kSpec, "epochs: 4", "epoch: 4")).status();
  CHECK(absl::IsInvalidArgument(status));
  const std::string message(status.message());
  CAPTURE(message);
  CHECK(message.find("spec.textproto:14:") != std::string::npos);
  CHECK(message.find("epoch") != std::string::npos);
  CHECK(absl::IsNotFound(ReadSpec(folder.path() / "none").status()));
}

TEST_CASE("ReadSpec: what is no spec is refused at its line", "[trainer][spec]") {
  struct Row {
    const char *part, *by, *where;
  };
  const Row rows[] = {
      {"layers { softmax {} }", "layers { sotfmax {} }", ":10:"},          // an unknown layer
      {"layers { flatten {} }", "layers { flatten { axis: 1 } }", ":7:"},  // its unknown field
      {"batch_size: 16", "batch_size: sixteen", ":15:"},
      {"batch_size: 16", "batch_size: -1", ":15:"},
      {"seed: 7", "seed: 7 seed: 8", ":16:"},
      {"model: \"m\"", "model: \"m", ":1:"},       // text that does not end
      {"seed: 7\n", "seed: 7\nlayers {", ":17:"},  // a block that does not end
      {"epochs: 4", "<epochs>4</epochs>", ":14:"},
  };
  const TemporaryFolder folder;
  for (const Row& row : rows) {
    CAPTURE(row.by);
    const absl::Status status = Read(folder, Replaced(kSpec, row.part, row.by)).status();
    CHECK(absl::IsInvalidArgument(status));
    const std::string message(status.message());
    CAPTURE(message);
    CHECK(message.find(std::string("spec.textproto") + row.where) != std::string::npos);
  }
  // Of a value that an enumeration lacks the parser tells the place just after.
  const absl::Status status =
      Read(folder, Replaced(kSpec, "LOSS_SPARSE_CROSS_ENTROPY", "LOSS_HINGE")).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(std::string(status.message()).find("spec.textproto:1") != std::string::npos);
  CHECK(std::string(status.message()).find("LOSS_HINGE") != std::string::npos);
  CHECK(absl::IsInvalidArgument(Read(folder, "").status()));
  CHECK(absl::IsInvalidArgument(Read(folder, std::string("\x08\0\xff\xfe", 4)).status()));
}

TEST_CASE("ReadSpec: names the field of what contradicts itself", "[trainer][spec]") {
  struct Row {
    const char *part, *by, *field;
  };
  const Row rows[] = {
      {"model: \"m\"", "model: \"../m\"", "model"},
      {"model: \"m\"", "", "model"},
      {"csv { file: \"train.csv\" }", "", "train"},
      {"file: \"train.csv\"", "", "train"},
      {"input_shape: [1, 2, 2]", "", "input_shape"},
      {"input_shape: [1, 2, 2]", "input_shape: [1, -2]", "input_shape"},
      {"filters: 4", "", "layers[0]"},
      {"kernel: 2 padding", "padding", "layers[0]"},
      {"rate: 0.25", "rate: 1", "layers[3]"},
      {"units: 3", "", "layers[4]"},
      {"layers { softmax {} }", "layers { }", "layers[5]"},
      {"loss: LOSS_SPARSE_CROSS_ENTROPY", "", "loss"},
      {"adamw { beta1: 0.8 }", "", "optimizer"},
      {"learning_rate: 0.01", "", "learning_rate"},
      {"learning_rate: 0.01", "learning_rate: -1", "learning_rate"},
      {"weight_decay: 0.1", "weight_decay: -1", "weight_decay"},
      {"every_epochs: 2", "", "every_epochs"},
      {"epochs: 4", "", "epochs"},
      {"batch_size: 16", "", "batch_size"},
      {"batch_size: 16", "batch_size: 16 max_batch_size: 2147483648", "max_batch_size"},
      {"scale: 0.5", "scale: nan", "test.scale"},
      {"scale: 0.5", "scale: inf", "test.scale"},
      {"learning_rate: 0.01", "learning_rate: inf", "learning_rate"},
      {"learning_rate: 0.01", "learning_rate: nan", "learning_rate"},
      {"factor: 0.5", "factor: 0", "schedule"},
      {"beta1: 0.8", "beta1: 1", "beta1"},
      {"layers { dense { units: 3 } }", "layers { max_pool2d {} }", "layers[4]"},
      {"inputs: \"x.npy\"", "", "test.npy"},
  };
  const TemporaryFolder folder;
  for (const Row& row : rows) {
    CAPTURE(row.part, row.by);
    const absl::Status status = Read(folder, Replaced(kSpec, row.part, row.by)).status();
    CHECK(absl::IsInvalidArgument(status));
    const std::string message(status.message());
    CAPTURE(message);
    CHECK(message.find("spec.textproto") != std::string::npos);
    CHECK(message.find(row.field) != std::string::npos);
  }
}

}  // namespace
}  // namespace torchfleet::trainer
