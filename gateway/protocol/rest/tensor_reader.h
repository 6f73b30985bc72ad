#pragma once
// Reads a tensor's JSON straight into the layout of raw contents.
//
//   [[1, 2], [3, 4]]  ->  01 00 00 00 02 00 00 00 03 … and the shape 2 × 2
//
// Numbers keep their exact value (json_number.h). A number that the datatype
// cannot hold is an error, never cut. BOOL takes true, false, 1 and 0; BYTES
// takes strings, whose bytes are their UTF-8.
//
// Borrows nothing past the call. Functions only; thread-safe.

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "gateway/protocol/rest/byte_buffer.h"
#include "gateway/protocol/rest/json_cursor.h"
#include "gateway/protocol/rest/shape.h"
#include "wire/datatype.h"

namespace torchfleet::gateway::rest {

struct TensorFormat {
  wire::DataType datatype;
  // Where it stands, for errors: "inputs" and the tensor's name, if it has one.
  std::string_view where;
  std::string_view name;
  // Whether {"b64": "…"} is a BYTES element too, as TensorFlow Serving has it.
  bool base64_objects = false;
  // Bytes that `raw` may have.
  size_t max_bytes = size_t{64} << 20;
};

// Appends the value at the cursor, a scalar or arrays in one another, to `raw`
// and sets its shape: no dimension for a scalar. INVALID_ARGUMENT for arrays of
// unequal lengths and for what is no element of the datatype, with its place.
absl::Status ReadTensor(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw,
                        Shape& shape);

}  // namespace torchfleet::gateway::rest
