#pragma once
// Reads one input as a REST call and as an answer, and says what is not as it
// should be: a body taken that is not JSON, tensors that do not fit their
// shapes, an answer that is not JSON or does not read back to the same bytes.

#include <string>
#include <string_view>

namespace torchfleet::gateway::rest {

// Empty when all is well. The first byte chooses the reader, the second the
// model's tensors, the method, the answer's form or the length of the JSON:
//   r  a path                     l  /v2, the JSON's length on a line before it
//   a  a response                 v  /v1
//   b  /v2 with binary data       x  /predict; any other, /v2 in JSON
std::string RestFault(std::string_view input);

}  // namespace torchfleet::gateway::rest
