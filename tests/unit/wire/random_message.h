#pragma once
// Random messages in the wire format, of any type: fields in any order, twice or
// not at all, packed and single, unknown fields and groups between them, numbers
// longer than they need be. What no serializer writes, but every parser takes.

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <random>
#include <string>

namespace torchfleet::wire {

using Random = std::mt19937_64;

// [0, limit)
size_t Below(Random& random, size_t limit);

std::string RandomMessage(Random& random, const google::protobuf::Descriptor& type);

std::string RandomBytes(Random& random, size_t size);

// `bytes` with one to four bits turned over.
std::string FlipBits(Random& random, std::string bytes);

}  // namespace torchfleet::wire
