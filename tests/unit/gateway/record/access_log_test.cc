#include "gateway/record/access_log.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace torchfleet::gateway {
namespace {

using nlohmann::json;

class LogFile {
 public:
  LogFile() {
    char name[] = "/tmp/access-log-XXXXXX";
    close(mkstemp(name));
    path_ = name;
  }
  ~LogFile() { std::filesystem::remove(path_); }

  const std::string& path() const { return path_; }
  std::vector<json> Lines() const {
    std::vector<json> lines;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }

 private:
  std::string path_;
};

// Writes the records to a file and reads it back.
std::vector<json> Logged(double share, const std::vector<CallRecord>& records) {
  const LogFile file;
  {
    auto log = AccessLog::Open({.file = file.path(), .share = share});
    REQUIRE(log.ok());
    const auto loop = *net::Loop::Create();
    AccessLogLines lines(*loop, log->get());
    for (const CallRecord& record : records) lines.Add(record);
  }
  return file.Lines();
}

CallRecord Record(absl::StatusCode code) {
  CallRecord record;
  record.method = "/inference.GRPCInferenceService/ModelInfer";
  record.model = "m";
  record.version = "1";
  record.code = code;
  record.duration = absl::Microseconds(1250);
  record.bytes_in = 3;
  record.bytes_out = 4;
  record.attempts = 1;
  record.ids.Take({});
  return record;
}

TEST_CASE("AccessLog: a line of JSON for each call", "[gateway][record]") {
  const auto lines = Logged(1, {Record(absl::StatusCode::kOk)});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["protocol"] == "grpc");
  CHECK(lines[0]["model"] == "m");
  CHECK(lines[0]["code"] == "OK");
  CHECK(lines[0]["duration_ms"] == 1.25);
  CHECK(lines[0]["bytes_in"] == 3);
  CHECK(lines[0]["request_id"] == lines[0]["trace_id"]);
  CHECK_FALSE(lines[0].contains("http_status"));
}

TEST_CASE("AccessLog: what a caller made up stays inside its string", "[gateway][record]") {
  CallRecord record = Record(absl::StatusCode::kNotFound);
  record.model = "\"},\n\\{\"x\":\"\x01\xff";
  record.http_status = 404;
  const auto lines = Logged(1, {record});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["http_status"] == 404);
  CHECK(lines[0]["model"].get<std::string>().starts_with("\"},"));
}

TEST_CASE("AccessLog: a share of the calls that go well, and every call that does not",
          "[gateway][record]") {
  std::vector<CallRecord> records(100, Record(absl::StatusCode::kOk));
  records.push_back(Record(absl::StatusCode::kUnavailable));
  CHECK(Logged(0, records).size() == 1);
  CHECK(Logged(1, records).size() == 101);
}

TEST_CASE("AccessLog: shares and files that cannot be", "[gateway][record]") {
  CHECK(absl::IsInvalidArgument(AccessLog::Open({.file = "-", .share = 1.5}).status()));
  CHECK(absl::IsInvalidArgument(AccessLog::Open({.file = "-", .share = -1}).status()));
  CHECK(absl::IsInvalidArgument(AccessLog::Open({.file = "/nowhere/log", .share = 1}).status()));
}

}  // namespace
}  // namespace torchfleet::gateway
