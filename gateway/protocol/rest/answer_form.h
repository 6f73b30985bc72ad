#pragma once
// The form in which a call wants its answer, known once its request was read.
//
// A value; it borrows nothing.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace torchfleet::gateway::rest {

struct AnswerForm {
  enum class Kind {
    // {"model_name": …, "outputs": […]}, tensors flat or binary.
    kInfer,
    // {"predictions": rows}
    kPredictions,
    // {"outputs": columns}
    kOutputs,
    // {"y": the first output}
    kPlain,
    // {"text_output": …}
    kGenerate,
    // The same as an event of a stream: data: {"text_output": …}
    kEvent,
  };
  Kind kind = Kind::kInfer;
  // kInfer: whether outputs are binary, and the names of those that are not as
  // the others are.
  bool binary = false;
  std::vector<std::string> exceptions;
  // kPlain: one row came, so one goes back.
  bool one_row = false;
  // kGenerate, kEvent: with `details`.
  bool details = false;

  bool IsBinary(std::string_view output) const {
    return binary != (std::find(exceptions.begin(), exceptions.end(), output) != exceptions.end());
  }
};

}  // namespace torchfleet::gateway::rest
