#pragma once
// Parses ModelInferRequest and ModelInferResponse into MessageParts: the inside
// of wire/infer_views.h.
//
// The two messages differ in the numbers of their last fields only, which
// MessageFields names; the rest is one parser.
//
// Lifecycle: one parser per message. Borrows everything it is given.

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "wire/infer_views.h"
#include "wire/wire_reader.h"

namespace torchfleet::wire {

// Field numbers in which the messages differ. 0: the message has no such field.
struct MessageFields {
  // As an error calls it.
  std::string_view message;
  std::string_view tensors;
  uint32_t requested_outputs;
  uint32_t raw_contents;
};
inline constexpr MessageFields kRequestFields = {"request", "inputs", 6, 7};
inline constexpr MessageFields kResponseFields = {"response", "outputs", 0, 6};

class InferParser {
 public:
  InferParser(const MessageFields& fields, const MessageLimits& limits, MessageParts& parts)
      : fields_(fields), limits_(limits), parts_(parts) {}

  // Leaves `parts` empty after an error.
  absl::Status Parse(std::string_view message);

 private:
  // False: fault_ says why.
  bool ParseMessage();
  bool ParseTopField(WireReader& reader, uint32_t tag);
  bool ParseTensor(std::string_view bytes);
  bool ParseRequestedOutput(std::string_view bytes);
  // `first`: where the part's own parameters begin in the pool.
  bool ParsePartParameter(std::string_view bytes, ParameterPool& pool, size_t first);
  bool ParseEntry(std::string_view bytes, int nesting, Parameter& parameter);
  bool ParseValue(std::string_view bytes, int nesting, ParameterValue& value);
  bool ParsePackedShape(std::string_view bytes, size_t first);
  bool AddDimension(const char* at, uint64_t value, size_t first);
  bool ScanContents(std::string_view bytes, TypedContents& contents);
  bool ScanContentsField(WireReader& reader, uint32_t tag, TypedContents& contents);
  bool ReadText(WireReader& reader, std::string_view field, std::string_view& text);

  // Makes room for one more part. Where the inline room ends it first counts
  // the fields `tag` that the rest of the message has, so that too many of them
  // are refused before anything is allocated.
  template <typename Parts>
  bool MakeRoom(Parts& parts, const WireReader& reader, uint32_t tag, size_t limit,
                std::string_view what);

  // The pools may have moved while they grew: points the spans at them.
  void BindSpans();

  bool Malformed(const WireReader& reader);
  bool Malformed(const char* at, std::string_view expected);
  // `total`: how many there are, where they were counted.
  bool OverLimit(const char* at, size_t limit, std::string_view what,
                 std::optional<size_t> total = std::nullopt);
  absl::Status FaultStatus() const;

  const MessageFields& fields_;
  const MessageLimits& limits_;
  MessageParts& parts_;
  std::string_view message_;
  // As they came, the overridden ones counted.
  size_t top_parameters_ = 0;
  size_t part_parameters_ = 0;

  struct Fault {
    const char* at = nullptr;
    std::string_view expected;
    // Set when a limit was passed: `expected` says of what.
    std::optional<size_t> limit;
    std::optional<size_t> total;
    // Set when a text is not UTF-8.
    std::string_view field;
    std::string_view text;
  };
  Fault fault_;
};

}  // namespace torchfleet::wire
