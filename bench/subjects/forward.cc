// torchfleet-bench-forward MODEL.pt: what a model costs by itself, in a hot loop on
// one thread, without a server.
//
//   --width 784 --rows 1,8,64      CPU of one forward() of so many rows of floats
//   --sentences FILE --rows 8,16   CPU of one sentence: a line of the file has the
//                                  token ids of one; sorted by length, so many at a
//                                  time, each batch as long as its longest
//
// Prints a line for each number of rows: the number, CPU in µs, and for sentences
// the share of the elements that was padding.

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <time.h>
#include <torch/script.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Sentence = std::vector<int64_t>;

double CpuSeconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

// Of one call, in µs: the median of five parts of `seconds`, of a call at least,
// after two calls in which TorchScript specialises what it runs.
double CpuOf(double seconds, const std::function<void()>& call) {
  for (int i = 0; i < 2; ++i) call();
  std::vector<double> parts;
  for (int part = 0; part < 5; ++part) {
    const double begin = CpuSeconds();
    int64_t calls = 0;
    double used = 0;
    do {
      call();
      ++calls;
      used = CpuSeconds() - begin;
    } while (used < seconds / 5);
    parts.push_back(used / static_cast<double>(calls) * 1e6);
  }
  std::nth_element(parts.begin(), parts.begin() + 2, parts.end());
  return parts[2];
}

// The row's bytes as they come from a wire, and the result where an answer is
// written from.
void MeasureRows(torch::jit::Module& model, int64_t width, int64_t rows, double seconds) {
  std::vector<float> floats(static_cast<size_t>(rows * width));
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i % 97) / 97;
  const double cpu = CpuOf(seconds, [&] {
    const at::Tensor batch = at::from_blob(floats.data(), {rows, width}, at::kFloat);
    model.forward({batch}).toTensor().contiguous();
  });
  fmt::print("{} {:.3f}\n", rows, cpu);
}

std::vector<Sentence> ReadSentences(const std::string& path) {
  std::ifstream file(path);
  std::vector<Sentence> sentences;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Sentence sentence;
    for (int64_t id = 0; words >> id;) sentence.push_back(id);
    if (!sentence.empty()) sentences.push_back(std::move(sentence));
  }
  std::stable_sort(sentences.begin(), sentences.end(),
                   [](const Sentence& a, const Sentence& b) { return a.size() < b.size(); });
  return sentences;
}

// Token ids and mask of a batch, zeros behind what is shorter.
std::vector<c10::IValue> Padded(const std::vector<Sentence>& sentences, size_t begin, size_t end) {
  const auto rows = static_cast<int64_t>(end - begin);
  const auto length = static_cast<int64_t>(sentences[end - 1].size());
  at::Tensor ids = at::zeros({rows, length}, at::kLong),
             mask = at::zeros({rows, length}, at::kLong);
  for (int64_t row = 0; row < rows; ++row) {
    const Sentence& sentence = sentences[begin + static_cast<size_t>(row)];
    std::copy(sentence.begin(), sentence.end(), ids.data_ptr<int64_t>() + row * length);
    std::fill_n(mask.data_ptr<int64_t>() + row * length, sentence.size(), 1);
  }
  return {ids, mask};
}

// All of them, in rounds.
void MeasureSentences(torch::jit::Module& model, const std::vector<Sentence>& sentences,
                      size_t rows, double seconds) {
  size_t padded = 0, own = 0;
  for (size_t begin = 0; begin < sentences.size(); begin += rows) {
    const size_t end = std::min(begin + rows, sentences.size());
    padded += (end - begin) * sentences[end - 1].size();
    for (size_t i = begin; i < end; ++i) own += sentences[i].size();
  }
  const double before = CpuSeconds();
  double used = 0;
  int64_t rounds = 0;
  do {
    for (size_t begin = 0; begin < sentences.size(); begin += rows) {
      model.forward(Padded(sentences, begin, std::min(begin + rows, sentences.size())));
    }
    ++rounds;
    used = CpuSeconds() - before;
  } while (used < seconds);
  const double cpu = used * 1e6 / static_cast<double>(rounds);
  fmt::print("{} {:.3f} {:.4f}\n", rows, cpu / static_cast<double>(sentences.size()),
             1 - static_cast<double>(own) / static_cast<double>(padded));
}

}  // namespace

int main(int argc, char** argv) {
  std::string path, sentences_path;
  int64_t width = 784;
  std::vector<int64_t> rows = {1};
  double seconds = 1;
  CLI::App app("CPU of a TorchScript model's forward()");
  app.add_option("model", path, "A TorchScript file")->required();
  app.add_option("--width", width, "Floats of a row");
  app.add_option("--rows", rows, "Rows of a batch, one after the other")->delimiter(',');
  app.add_option("--sentences", sentences_path, "Token ids, a sentence a line");
  app.add_option("--seconds", seconds, "CPU for each number of rows");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(1);
  const c10::InferenceMode inference;
  torch::jit::Module model = torch::jit::load(path);
  model.eval();
  const auto sentences = ReadSentences(sentences_path);
  // TorchScript's first calls are slow.
  for (size_t end = 1; end <= 2 && end <= sentences.size(); ++end) {
    model.forward(Padded(sentences, 0, end));
  }
  for (const int64_t number : rows) {
    if (sentences_path.empty()) {
      MeasureRows(model, width, number, seconds);
    } else {
      MeasureSentences(model, sentences, static_cast<size_t>(number), seconds);
    }
  }
}
