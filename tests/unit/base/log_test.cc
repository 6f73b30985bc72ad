#include "base/log.h"

#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace torchfleet {
namespace {

// What `write` puts on standard error; less than a pipe holds.
std::string OnStandardError(const std::function<void()>& write) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const int saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  write();
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  std::string text;
  std::array<char, 1024> buffer{};
  for (ssize_t n; (n = read(ends[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  close(ends[0]);
  return text;
}

TEST_CASE("Log: JSON is one object a line, whatever the values hold", "[base][log]") {
  REQUIRE(InitLog("test", "json", "info").ok());
  const std::string text = OnStandardError([] {
    LogInfo("a \"message\"\nwith a line's end", {{"model", "mnist"}, {"count", 3}});
    LogDebug("too fine");
    LogError("bad bytes", {{"name", std::string("\xFF\0x", 3)}});
  });
  const size_t end = text.find('\n');
  REQUIRE(end != std::string::npos);
  const auto first = nlohmann::json::parse(text.substr(0, end));
  CHECK(first["level"] == "info");
  CHECK(first["process"] == "test");
  CHECK(first["message"] == "a \"message\"\nwith a line's end");
  CHECK(first["model"] == "mnist");
  CHECK(first["count"] == "3");
  CHECK(first.contains("time"));
  const auto second = nlohmann::json::parse(text.substr(end + 1));
  CHECK(second["level"] == "error");
}

TEST_CASE("Log: text quotes values with blanks", "[base][log]") {
  REQUIRE(InitLog("test", "text", "warning").ok());
  const std::string text = OnStandardError([] {
    LogInfo("too fine");
    LogWarning("slow", {{"model", "mnist"}, {"why", "two words"}});
  });
  CHECK(text.find("WARN  test: slow model=mnist why=\"two words\"\n") != std::string::npos);
  CHECK(text.find("too fine") == std::string::npos);
}

TEST_CASE("InitLog: refuses other formats and levels and says which there are", "[base][log]") {
  const absl::Status format = InitLog("test", "xml", "info");
  CHECK(format.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(format.message()).find("text or json") != std::string::npos);
  CHECK_FALSE(InitLog("test", "text", "loud").ok());
  CHECK(InitLog("test", "text", "info").ok());
}

}  // namespace
}  // namespace torchfleet
