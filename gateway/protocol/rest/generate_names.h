#pragma once
// The tensors of a model that generates text, by their names.

#include <string_view>

namespace torchfleet::gateway::rest {

// What every such model takes and gives: one text.
inline constexpr std::string_view kTextInput = "text_input";
inline constexpr std::string_view kTextOutput = "text_output";

// An output that tells more of the answer, if the model has it, and where that
// goes in `details`.
struct DetailOutput {
  std::string_view output;
  std::string_view member;
  // Of an object `token` in details, not of details itself.
  bool of_token = false;
  // One value, or a list.
  bool list = false;
};

// Of an answer that is whole.
inline constexpr DetailOutput kAnswerDetails[] = {
    {.output = "finish_reason", .member = "finish_reason"},
    {.output = "logprobs", .member = "logprobs", .list = true},
};
// Of an answer that is one of a stream. Those of the token come last.
inline constexpr DetailOutput kEventDetails[] = {
    {.output = "finish_reason", .member = "finish_reason"},
    {.output = "token_id", .member = "id", .of_token = true},
    {.output = "token_text", .member = "text", .of_token = true},
    {.output = "token_logprob", .member = "logprob", .of_token = true},
    {.output = "token_special", .member = "special", .of_token = true},
};

}  // namespace torchfleet::gateway::rest
