#pragma once
// Gives one input to one of the small readers of outside bytes, and says what is
// not as it should be: another result for other cuts, a value that does not come
// back as it was written, a verdict that a plainer reading does not share.

#include <string>
#include <string_view>

namespace torchfleet {

// Empty when all is well. The first byte chooses the reader:
//   m  gRPC's messages        t  grpc-timeout
//   h  a request's head       s  grpc-status and its message
//   b  base64 in pieces       i  traceparent and X-Request-Id
//   w  a gRPC-Web call        W  the same as text
//   n  a .npy file            a  a file of arrivals
std::string SmallFault(std::string_view input);

// The parts of it.
std::string GrpcFault(char reader, std::string_view bytes);
std::string WebFault(char reader, std::string_view bytes);
std::string FileFault(char reader, std::string_view bytes);

}  // namespace torchfleet
