#pragma once
// Whether two answers say the same. Pure.

#include <string_view>

namespace torchfleet::gateway {

// Of two ModelInferResponses as gRPC sends them, each one message: whether their
// outputs are the same to the byte, with their names, datatypes and shapes and in
// the same order. Model, version, id and parameters of the answer are not
// compared. What cannot be read is the same as nothing.
bool SameOutputs(std::string_view a, std::string_view b);

}  // namespace torchfleet::gateway
