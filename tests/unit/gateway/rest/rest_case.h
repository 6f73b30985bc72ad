#pragma once
// Bodies in, messages out, and back, as tests write them.

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "gateway/protocol/rest/rest_codec.h"
#include "wire/infer_views.h"
#include "wire/infer_writer.h"

namespace torchfleet::gateway::rest {

inline std::string Joined(std::span<const std::string_view> pieces) {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

template <typename T>
std::string Raw(std::initializer_list<T> elements) {
  return std::string(reinterpret_cast<const char*>(std::data(elements)),
                     elements.size() * sizeof(T));
}

inline std::string RawTexts(const std::vector<std::string>& texts) {
  std::string raw;
  for (const std::string& text : texts) {
    const auto length = static_cast<uint32_t>(text.size());
    raw.append(reinterpret_cast<const char*>(&length), sizeof(length)).append(text);
  }
  return raw;
}

// A request that was read, kept whole.
struct ReadCase {
  absl::Status status;
  std::string message;
  wire::InferRequestView view;
  AnswerForm form;

  ReadCase() = default;
  ReadCase(const ReadCase&) = delete;

  void Take(const absl::StatusOr<RestRequest>& request) {
    status = request.status();
    if (!status.ok()) {
      CHECK(status.message().size() <= 512);
      return;
    }
    message = Joined(request->pieces);
    form = request->form;
    CHECK(message.size() == request->size);
    REQUIRE(view.Parse(message).ok());
    REQUIRE(view.raw_input_contents().size() == view.inputs().size());
  }
  std::string Text() const { return std::string(status.message()); }
  bool Says(std::string_view part) const { return Text().find(part) != std::string::npos; }
};

// A tensor of a response, owned.
struct OutputCase {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;
  std::string data;
};

inline std::string Response(const std::vector<OutputCase>& outputs, std::string_view id = "") {
  std::vector<wire::TensorSource> sources;
  for (const OutputCase& output : outputs) {
    sources.push_back({.name = output.name,
                       .datatype = output.datatype,
                       .shape = output.shape,
                       .parameters = {},
                       .data = output.data});
  }
  wire::InferWriter writer;
  const wire::ResponseSource source = {
      .model_name = "m", .model_version = "1", .id = id, .parameters = {}, .outputs = sources};
  return Joined(*writer.Write(source));
}

}  // namespace torchfleet::gateway::rest
