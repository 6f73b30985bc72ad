#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <thread>

#include "model-worker/execute/output_check.h"
#include "model-worker/load/torch_loader.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/model-worker/run_model.h"
#include "tests/unit/model-worker/scripted_module.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using wire::DataType;

template <typename Element>
std::string Bytes(const std::vector<Element>& elements) {
  return std::string(reinterpret_cast<const char*>(elements.data()),
                     elements.size() * sizeof(Element));
}

std::string Strings(const std::vector<std::string>& elements) {
  std::string bytes;
  for (const std::string& element : elements) {
    bytes += Bytes<uint32_t>({static_cast<uint32_t>(element.size())}) + element;
  }
  return bytes;
}

ModelSpec Spec(std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs) {
  ModelSpec spec;
  spec.name = "tested";
  spec.version = "1";
  spec.platform = "pytorch_libtorch";
  spec.inputs = std::move(inputs);
  spec.outputs = std::move(outputs);
  return spec;
}

TensorSpec Floats(const std::string& name) { return {name, DataType::kFp32, {-1}}; }

absl::StatusOr<std::unique_ptr<Model>> Load(const std::string& source, const ModelSpec& spec) {
  const TemporaryFolder folder;
  SaveScriptedModule(folder.path() / "model.pt", source);
  return LoadTorchModel(ModelFile::Open(folder.path() / "model.pt").value(), spec);
}

// One float for each input; the outputs as floats.
std::vector<float> RunFloats(const std::string& source, const ModelSpec& spec,
                             const std::vector<float>& values) {
  auto model = Load(source, spec);
  REQUIRE(model.ok());
  std::vector<std::string> bytes;
  for (const float value : values) bytes.push_back(Bytes<float>({value}));
  std::vector<InputTensor> inputs;
  for (const std::string& one : bytes) inputs.push_back({{1}, one, false});
  const auto outputs = RunModel(**model, inputs);
  REQUIRE(outputs.ok());
  REQUIRE(CheckOutputs(spec, std::nullopt, *outputs).ok());
  std::vector<float> results;
  for (const OutputTensor& output : *outputs) {
    float result = 0;
    REQUIRE(output.bytes.size() == sizeof(result));
    std::memcpy(&result, output.bytes.data(), sizeof(result));
    results.push_back(result);
  }
  return results;
}

constexpr char kMinus[] = "def forward(self, a, b):\n  return a - b\n";

TEST_CASE("TorchScript: computes with the weights it was saved with", "[worker][torch]") {
  const ModelSpec spec = Spec({{"x", DataType::kFp32, {-1, 2}}}, {{"y", DataType::kFp32, {-1, 2}}});
  auto model = Load("def forward(self, x):\n  return x.matmul(self.weight)\n", spec);
  REQUIRE(model.ok());
  const std::string bytes = Bytes<float>({1, 0, 0, 1, 10, 100});
  const auto outputs = RunModel(**model, {{{3, 2}, bytes, false}});
  REQUIRE(outputs.ok());
  CHECK(outputs->at(0).shape == std::vector<int64_t>{3, 2});
  CHECK(outputs->at(0).bytes == Bytes<float>({1, 2, 3, 4, 310, 420}));
  const auto none = RunModel(**model, {{{0, 2}, "", false}});
  REQUIRE(none.ok());
  CHECK(none->at(0).shape == std::vector<int64_t>{0, 2});
  CHECK(none->at(0).bytes.empty());
}

TEST_CASE("TorchScript: inputs by argument name, by index, else in order", "[worker][torch]") {
  const std::vector<TensorSpec> y = {Floats("y")};
  CHECK(RunFloats(kMinus, Spec({Floats("b"), Floats("a")}, y), {1, 10})[0] == 9);
  CHECK(RunFloats(kMinus, Spec({Floats("IN__1"), Floats("IN__0")}, y), {1, 10})[0] == 9);
  CHECK(RunFloats(kMinus, Spec({Floats("left"), Floats("right")}, y), {1, 10})[0] == -9);
  // Not all are argument names, and not all indices are there.
  CHECK(RunFloats(kMinus, Spec({Floats("b"), Floats("right")}, y), {1, 10})[0] == -9);
  CHECK(RunFloats(kMinus, Spec({Floats("IN__1"), Floats("IN__2")}, y), {1, 10})[0] == -9);
}

TEST_CASE("TorchScript: a dictionary's inputs and outputs by name", "[worker][torch]") {
  const std::string source =
      "def forward(self, x: Dict[str, Tensor]) -> Dict[str, Tensor]:\n"
      "  return {'sum': x['a'] + x['b'], 'difference': x['a'] - x['b']}\n";
  CHECK(RunFloats(source, Spec({Floats("b"), Floats("a")}, {Floats("difference"), Floats("sum")}),
                  {1, 10}) == std::vector<float>{9, 11});
}

TEST_CASE("TorchScript: outputs from a tuple or a list, by index or in order", "[worker][torch]") {
  const std::vector<TensorSpec> ab = {Floats("a"), Floats("b")};
  const std::string tuple = "def forward(self, a, b):\n  return (a + b, a - b)\n";
  const std::string list = "def forward(self, a, b):\n  return [a + b, a - b]\n";
  for (const std::string& source : {tuple, list}) {
    using Values = std::vector<float>;
    CHECK(RunFloats(source, Spec(ab, {Floats("p"), Floats("q")}), {10, 1}) == Values{11, 9});
    CHECK(RunFloats(source, Spec(ab, {Floats("O__1"), Floats("O__0")}), {10, 1}) == Values{9, 11});
    CHECK(RunFloats(source, Spec(ab, {Floats("p")}), {10, 1}) == Values{11});
  }
}

TEST_CASE("TorchScript: every numeric datatype goes in and comes out as it was",
          "[worker][torch]") {
  for (const DataType type : wire::kAllDataTypes) {
    if (type == DataType::kBytes) continue;
    INFO(wire::DataTypeName(type));
    const ModelSpec spec = Spec({{"x", type, {-1}}}, {{"y", type, {-1}}});
    auto model = Load("def forward(self, x):\n  return x.clone()\n", spec);
    REQUIRE(model.ok());
    // Aligned, and one byte beside it.
    const std::string element = std::string(wire::ElementSize(type) - 1, '\0') + '\1';
    const std::string bytes = "_" + element + element + element;
    for (const size_t skip : {0, 1}) {
      const std::string shifted = bytes.substr(1 - skip);
      const std::string_view view = std::string_view(shifted).substr(skip, bytes.size() - 1);
      const auto outputs = RunModel(**model, {{{3}, view, false}});
      REQUIRE(outputs.ok());
      CHECK(outputs->at(0).type == type);
      CHECK(outputs->at(0).bytes == view);
    }
  }
}

TEST_CASE("TorchScript: FP16 and BF16 are computed with", "[worker][torch]") {
  const std::pair<DataType, uint16_t (*)(float)> types[] = {{DataType::kFp16, HalfBits},
                                                            {DataType::kBf16, Bfloat16Bits}};
  for (const auto& [type, bits] : types) {
    const ModelSpec spec = Spec({{"x", type, {-1}}}, {{"y", type, {-1}}});
    auto model = Load("def forward(self, x):\n  return x * 2\n", spec);
    REQUIRE(model.ok());
    const std::string bytes = Bytes<uint16_t>({bits(1.5F), bits(-4.0F)});
    const auto outputs = RunModel(**model, {{{2}, bytes, false}});
    REQUIRE(outputs.ok());
    CHECK(outputs->at(0).bytes == Bytes<uint16_t>({bits(3.0F), bits(-8.0F)}));
  }
}

TEST_CASE("TorchScript: lists of strings in and out, in the promised shape", "[worker][torch]") {
  const std::string source =
      "def forward(self, x: List[str]) -> List[str]:\n"
      "  result: List[str] = []\n"
      "  for one in x:\n"
      "    result.append(one + '!')\n"
      "  return result\n";
  const std::string bytes = Strings({"a", "", "ü", "d"});
  const std::pair<std::vector<int64_t>, std::vector<int64_t>> shapes[] = {
      {{-1}, {4}}, {{-1, 1}, {4, 1}}, {{-1, 2}, {2, 2}}, {{2, 2}, {2, 2}}, {{3, -1}, {4}}};
  for (const auto& [promised, shape] : shapes) {
    const ModelSpec spec =
        Spec({{"x", DataType::kBytes, {-1}}}, {{"y", DataType::kBytes, promised}});
    auto model = Load(source, spec);
    REQUIRE(model.ok());
    const auto outputs = RunModel(**model, {{{4}, bytes, false}});
    REQUIRE(outputs.ok());
    CHECK(outputs->at(0).shape == shape);
    CHECK(outputs->at(0).bytes == Strings({"a!", "!", "ü!", "d!"}));
  }
}

TEST_CASE("TorchScript: what an optional input leaves out is forward()'s default",
          "[worker][torch]") {
  const std::string source =
      "def forward(self, x, scale: Optional[Tensor] = None, plus: float = 0.5):\n"
      "  if scale is not None:\n"
      "    x = x * scale\n"
      "  return x + plus\n";
  ModelSpec spec = Spec({Floats("x"), Floats("scale")}, {Floats("y")});
  spec.inputs[1].optional = true;
  auto model = Load(source, spec);
  REQUIRE(model.ok());
  const std::string three = Bytes<float>({3}), ten = Bytes<float>({10});
  CHECK(RunModel(**model, {{{1}, three, false}, {{}, {}, true}})->at(0).bytes ==
        Bytes<float>({3.5F}));
  CHECK(RunModel(**model, {{{1}, three, false}, {{1}, ten, false}})->at(0).bytes ==
        Bytes<float>({30.5F}));
}

TEST_CASE("TorchScript: results that are no rows of memory are laid out", "[worker][torch]") {
  const ModelSpec spec = Spec({{"x", DataType::kFp32, {2, 3}}}, {{"y", DataType::kFp32, {3, 2}}});
  auto model = Load("def forward(self, x):\n  return x.t()\n", spec);
  REQUIRE(model.ok());
  const std::string bytes = Bytes<float>({1, 2, 3, 4, 5, 6});
  CHECK(RunModel(**model, {{{2, 3}, bytes, false}})->at(0).bytes ==
        Bytes<float>({1, 4, 2, 5, 3, 6}));
}

TEST_CASE("TorchScript: a failure is a status without torch's words", "[worker][torch]") {
  const ModelSpec spec = Spec({Floats("x")}, {Floats("y")});
  const std::string bytes = Bytes<float>({1, 2, 3});
  const auto run = [&](const std::string& source) {
    auto model = Load(source, spec);
    REQUIRE(model.ok());
    const absl::Status status = RunModel(**model, {{{3}, bytes, false}}).status();
    for (const char* word : {"Traceback", "frame", "torch", ".cpp", "secret"}) {
      CHECK_THAT(std::string(status.message()), !ContainsSubstring(word));
    }
    return status.code();
  };
  CHECK(run("def forward(self, x):\n  return x.matmul(self.weight)\n") ==
        absl::StatusCode::kInternal);
  CHECK(run("def forward(self, x):\n  assert x.dim() == 7, 'secret'\n  return x\n") ==
        absl::StatusCode::kInternal);
  CHECK(run("def forward(self, x):\n  return torch.zeros([1 << 45])\n") ==
        absl::StatusCode::kResourceExhausted);
  CHECK(run("def forward(self, x):\n  return 'text'\n") == absl::StatusCode::kInternal);
  CHECK(run("def forward(self, x):\n  return torch.complex(x, x)\n") ==
        absl::StatusCode::kInternal);
}

TEST_CASE("TorchScript: refuses at load what forward() cannot take", "[worker][torch]") {
  const std::vector<TensorSpec> y = {Floats("y")};
  const auto refused = [&](const std::string& source, const ModelSpec& spec, const char* says) {
    const auto model = Load(source, spec);
    CHECK(absl::IsFailedPrecondition(model.status()));
    CHECK_THAT(std::string(model.status().message()), ContainsSubstring(says));
  };
  refused(kMinus, Spec({Floats("a")}, y), "needs 'b'");
  refused(kMinus, Spec({Floats("a"), Floats("b"), Floats("c")}, y), "names 3 inputs");
  ModelSpec optional = Spec({Floats("a"), Floats("b")}, y);
  optional.inputs[1].optional = true;
  refused(kMinus, optional, "needs 'b'");
  refused("def forward(self, x: Dict[str, Tensor]):\n  return x['a']\n",
          Spec({{"a", DataType::kBytes, {-1}}}, y), "TYPE_STRING");
  refused("def forward(self, x: Dict[int, Tensor]):\n  return x[0]\n", Spec({Floats("a")}, y),
          "Dict[str, Tensor]");
  ModelSpec other = Spec({Floats("a"), Floats("b")}, y);
  other.platform = "torch_aoti";
  refused(kMinus, other, "torch_aoti");
}

TEST_CASE("TorchScript: a missing, damaged or cut file is FAILED_PRECONDITION", "[worker][torch]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "model.pt";
  const ModelSpec spec = Spec({Floats("a"), Floats("b")}, {Floats("y")});
  const auto refused = [&] {
    const auto opened = ModelFile::Open(file);
    const absl::Status status =
        opened.ok() ? LoadTorchModel(*opened, spec).status() : opened.status();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()),
               ContainsSubstring("model.pt") && !ContainsSubstring("frame #"));
  };
  refused();
  folder.Write("model.pt", "");
  refused();
  folder.Write("model.pt", "this is no model");
  refused();
  SaveScriptedModule(file, kMinus);
  const auto size = std::filesystem::file_size(file);
  for (const auto part : {size / 2, size - 1, size / 10}) {
    SaveScriptedModule(file, kMinus);
    std::filesystem::resize_file(file, part);
    refused();
  }
}

TEST_CASE("TorchScript: one model serves several threads at once", "[worker][torch]") {
  const ModelSpec spec = Spec({{"x", DataType::kFp32, {-1, 2}}}, {{"y", DataType::kFp32, {-1, 2}}});
  auto model = Load("def forward(self, x):\n  return x.matmul(self.weight)\n", spec);
  REQUIRE(model.ok());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const auto value = static_cast<float>(thread * 1000 + i);
        const std::string bytes = Bytes<float>({value, 0});
        const auto outputs = RunModel(**model, {{{1, 2}, bytes, false}});
        if (!outputs.ok() || outputs->at(0).bytes != Bytes<float>({value, 2 * value})) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace torchfleet::worker
