#pragma once
// A request to the operators' port as a page of it sees it, and its answer.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace torchfleet {

// No request has a longer body.
inline constexpr size_t kMaxOperatorBody = 1 << 20;

struct OperatorRequest {
  std::string method = {};
  // The words of its path, decoded: /v1/models/a%20b is {"v1", "models", "a b"}.
  std::vector<std::string> path = {};
  // name=value, decoded, in order.
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string content_type = {};
  std::string if_match = {};
  std::string body = {};
  // The address of whoever asks.
  std::string peer = {};
};

struct OperatorAnswer {
  int code = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body = {};
  // More of its head.
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// May block: the port has threads of its own.
using OperatorPage = std::function<OperatorAnswer(const OperatorRequest&)>;

// What follows a code in an answer's first line.
std::string_view ReasonPhrase(int code);

// The words of a path as it came; nothing when an escape in it is none.
std::optional<std::vector<std::string>> PathWords(std::string_view path);
// The parameters of a query as it came; nothing when an escape in it is none.
std::optional<std::vector<std::pair<std::string, std::string>>> QueryParameters(
    std::string_view query);

}  // namespace torchfleet
