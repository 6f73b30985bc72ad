#include "cli/load/load_report.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

LoadReport AReport() {
  LoadReport report;
  report.model = "mnist";
  report.address = "127.0.0.1:8001";
  report.protocol = "gRPC";
  report.concurrency = 32;
  report.connections = 4;
  report.threads = 1;
  report.cpu = absl::Milliseconds(30);
  LoadTally& tally = report.tally;
  for (int i = 1; i <= 1000; ++i) tally.latency.Record(absl::Microseconds(i));
  tally.ok = 1000;
  tally.AddFailure("UNAVAILABLE", 250, "no worker is ready");
  tally.all_calls = 1500;
  tally.window_begin = Instant::FromStart(absl::Seconds(3));
  tally.window_end = Instant::FromStart(absl::Seconds(3) + absl::Milliseconds(500));
  return report;
}

bool Has(const std::string& text, std::string_view part) {
  CAPTURE(text, part);
  return text.find(part) != text.npos;
}

TEST_CASE("ReportAsText: a closed loop's result", "[cli][load]") {
  CHECK(ReportAsText(AReport()) ==
        "mnist at 127.0.0.1:8001: gRPC, 32 in flight, 4 connections, 1 thread\n\n"
        "calls      1,250 in 0.50 s, 2,500 a second\n"
        "latency    mean 500 µs   p50 500 µs   p90 900 µs   p99 990 µs   p99.9 999 µs   max 1.00 "
        "ms\n"
        "answers    OK 1,000\n"
        "           UNAVAILABLE 250: no worker is ready\n"
        "generator  20.0 µs of CPU a call\n");
}

TEST_CASE("ReportAsText: an open loop says what was late and what was not sent", "[cli][load]") {
  LoadReport report = AReport();
  report.open = true;
  report.rate = 2500;
  report.concurrency = 10000;
  report.connections = 0;
  report.threads = 2;
  report.tally.late = 12;
  CHECK(Has(ReportAsText(report),
            ": gRPC, 2500 arrivals a second, at most 10000 in flight, a connection for each, "
            "2 threads\n"));
  CHECK(Has(ReportAsText(report), "late       12 of them began over 1 ms after their time\n"));
  CHECK(!Has(ReportAsText(report), "NOT SENT"));
  report.rate = 0;
  report.tally.not_begun = 1234;
  CHECK(Has(ReportAsText(report), ": gRPC, given arrivals, at most 10000 in flight"));
  CHECK(Has(ReportAsText(report), "NOT SENT   1,234: 10000 were in flight"));
}

TEST_CASE("ReportAsJson: one line with every number", "[cli][load]") {
  const std::string text = ReportAsJson(AReport());
  CHECK(text.find('\n') == text.size() - 1);
  const auto document = nlohmann::json::parse(text);
  CHECK(document == nlohmann::json::parse(R"({
    "model": "mnist", "address": "127.0.0.1:8001", "protocol": "gRPC", "loop": "closed",
    "rate": 0.0, "concurrency": 32, "connections": 4, "threads": 1, "seconds": 0.5,
    "calls": 1250, "calls_per_second": 2500.0, "codes": {"OK": 1000, "UNAVAILABLE": 250},
    "failed": 250, "messages": {"UNAVAILABLE": "no worker is ready"}, "late": 0, "not_sent": 0,
    "latency_ms": {"mean": 0.5005, "p50": 0.500223, "p90": 0.900095, "p99": 0.990207,
                   "p99.9": 0.999423, "max": 1.0},
    "all_calls": 1500, "cpu_us_per_call": 20.0})"));
}

TEST_CASE("ReportAsJson: without calls, and with words that are no text", "[cli][load]") {
  LoadReport report;
  report.open = true;
  report.connections = 0;
  report.tally.AddFailure("500", 1, "\xff\xfe");
  const auto document = nlohmann::json::parse(ReportAsJson(report));
  CHECK(document["loop"] == "open");
  CHECK(document["connections"].is_null());
  CHECK(document["calls_per_second"] == 0);
  CHECK(document["latency_ms"]["p99"] == 0);
  CHECK(document["messages"]["500"] == "\uFFFD\uFFFD");
}

TEST_CASE("ProgressLine: calls a second are of the time that has passed", "[cli][load]") {
  LoadProgress::Interval interval;
  for (int i = 0; i < 2990; ++i) interval.latency.Record(absl::Microseconds(1500));
  interval.failed = 10;
  interval.in_flight = 32;
  CHECK(ProgressLine(absl::Seconds(7), absl::Milliseconds(1500), interval) ==
        "    7 s      2,000 calls/s      32 in flight  p50  1.50 ms  p99  1.50 ms  10 failed");
}

TEST_CASE("LoadProgress: each interval has its calls once, and all that are in flight",
          "[cli][load]") {
  LoadProgress progress;
  Histogram one;
  one.Record(absl::Microseconds(5));
  progress.Add(one, 2, 7);
  progress.Add(one, 1, -3);
  auto taken = progress.Take();
  CHECK(taken.latency.count() == 2);
  CHECK(taken.failed == 3);
  CHECK(taken.in_flight == 4);
  progress.Add(Histogram(), 0, -4);
  taken = progress.Take();
  CHECK(taken.latency.count() == 0);
  CHECK(taken.failed == 0);
  CHECK(taken.in_flight == 0);
}

TEST_CASE("ReportAsJson: codes that were expected are no failures", "[cli][load]") {
  LoadReport report = AReport();
  report.tally.AddFailure("DEADLINE_EXCEEDED", 40, "too late");
  report.expected = {"DEADLINE_EXCEEDED"};
  const auto document = nlohmann::json::parse(ReportAsJson(report));
  CHECK(document["failed"] == 250);
  CHECK(document["codes"]["DEADLINE_EXCEEDED"] == 40);
  CHECK(document["calls"] == 1290);
}

}  // namespace
}  // namespace torchfleet::cli
