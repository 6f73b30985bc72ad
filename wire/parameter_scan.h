#pragma once
// One parameter of an inference request, from the request's bytes in place.

#include <optional>
#include <string>
#include <string_view>

namespace torchfleet::wire {

// The parameter of that name as text: true or false, a number in decimal, or the
// text itself. `beginning`: the message, or as much of it as is there; what comes
// after the first tensor is not looked at, since every writer of Protocol Buffers
// puts parameters in front of them. Nothing for a parameter that is not there, or
// whose bytes are damaged: that is for the worker to say. Of one that comes twice
// the last counts.
std::optional<std::string> FindParameter(std::string_view beginning, std::string_view name);

}  // namespace torchfleet::wire
