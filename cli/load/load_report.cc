#include "cli/load/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

double Milliseconds(absl::Duration duration) {
  // To a nanosecond; more would be noise.
  return std::round(absl::ToDoubleNanoseconds(duration)) / 1e6;
}

// 1234567 as 1,234,567.
std::string Grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

// With three digits that mean something.
std::string Time(absl::Duration duration) {
  const double microseconds = absl::ToDoubleMicroseconds(duration);
  const auto [number, unit] = microseconds < 1000  ? std::pair(microseconds, "µs")
                              : microseconds < 1e6 ? std::pair(microseconds / 1e3, "ms")
                                                   : std::pair(microseconds / 1e6, "s");
  return fmt::format("{:.{}f} {}", number, number < 10 ? 2 : number < 100 ? 1 : 0, unit);
}

double PerSecond(uint64_t calls, absl::Duration length) {
  const double seconds = absl::ToDoubleSeconds(length);
  return seconds > 0 ? static_cast<double>(calls) / seconds : 0;
}

std::string Whole(double number) { return Grouped(static_cast<uint64_t>(std::llround(number))); }

absl::Duration CpuPerCall(const LoadReport& report) {
  return report.tally.all_calls == 0 ? absl::ZeroDuration()
                                     : report.cpu / static_cast<double>(report.tally.all_calls);
}

std::string Plural(int number, const char* word) {
  return fmt::format("{} {}{}", number, word, number == 1 ? "" : "s");
}

std::string Head(const LoadReport& report) {
  const std::string loop =
      !report.open      ? fmt::format("{} in flight", report.concurrency)
      : report.rate > 0 ? fmt::format("{:g} arrivals a second, at most {} in flight", report.rate,
                                      report.concurrency)
                        : fmt::format("given arrivals, at most {} in flight", report.concurrency);
  const std::string connections =
      report.connections == 0 ? "a connection for each" : Plural(report.connections, "connection");
  return fmt::format("{} at {}: {}, {}, {}, {}\n\n", report.model, report.address, report.protocol,
                     loop, connections, Plural(report.threads, "thread"));
}

}  // namespace

std::string ReportAsText(const LoadReport& report) {
  const LoadTally& tally = report.tally;
  std::string text = Head(report);
  const uint64_t calls = tally.ok + tally.failed();
  text +=
      fmt::format("calls      {} in {:.2f} s, {} a second\n", Grouped(calls),
                  absl::ToDoubleSeconds(tally.window()), Whole(PerSecond(calls, tally.window())));
  text += "latency    mean " + Time(tally.latency.Mean());
  for (const auto& [name, share] : kQuantiles) {
    text += fmt::format("   {} {}", name, Time(tally.latency.Quantile(share)));
  }
  text += "   max " + Time(tally.latency.max()) + "\n";
  text += fmt::format("answers    OK {}\n", Grouped(tally.ok));
  for (const auto& [code, failure] : tally.failures) {
    text += fmt::format("           {} {}: {}\n", code, Grouped(failure.count), failure.message);
  }
  if (report.open) {
    text += fmt::format("late       {} of them began over 1 ms after their time\n",
                        Grouped(tally.late));
  }
  if (tally.not_begun > 0) {
    text += fmt::format("NOT SENT   {}: {} were in flight, and --max-in-flight allows no more\n",
                        Grouped(tally.not_begun), report.concurrency);
  }
  text += fmt::format("generator  {} of CPU a call\n", Time(CpuPerCall(report)));
  return text;
}

std::string ReportAsJson(const LoadReport& report) {
  const LoadTally& tally = report.tally;
  ordered_json codes = ordered_json::object(), messages = ordered_json::object();
  codes["OK"] = tally.ok;
  for (const auto& [code, failure] : tally.failures) {
    codes[code] = failure.count;
    messages[code] = failure.message;
  }
  ordered_json latency = {{"mean", Milliseconds(tally.latency.Mean())}};
  for (const auto& [name, share] : kQuantiles) {
    latency[name] = Milliseconds(tally.latency.Quantile(share));
  }
  latency["max"] = Milliseconds(tally.latency.max());
  const uint64_t calls = tally.ok + tally.failed();
  const ordered_json document = {
      {"model", report.model},
      {"address", report.address},
      {"protocol", report.protocol},
      {"loop", report.open ? "open" : "closed"},
      {"rate", report.rate},
      {"concurrency", report.concurrency},
      {"connections", report.connections == 0 ? ordered_json() : ordered_json(report.connections)},
      {"threads", report.threads},
      {"seconds", absl::ToDoubleSeconds(tally.window())},
      {"calls", calls},
      {"calls_per_second", PerSecond(calls, tally.window())},
      {"codes", codes},
      {"failed", tally.failed(report.expected)},
      {"messages", messages},
      {"late", tally.late},
      {"not_sent", tally.not_begun},
      {"latency_ms", latency},
      {"all_calls", tally.all_calls},
      {"cpu_us_per_call", absl::ToDoubleMicroseconds(CpuPerCall(report))}};
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string ProgressLine(absl::Duration since_start, absl::Duration length,
                         const LoadProgress::Interval& interval) {
  const Histogram& latency = interval.latency;
  return fmt::format("{:>5.0f} s  {:>9} calls/s  {:>6} in flight  p50 {:>8}  p99 {:>8}  {} failed",
                     absl::ToDoubleSeconds(since_start),
                     Whole(PerSecond(latency.count() + interval.failed, length)),
                     interval.in_flight, Time(latency.Quantile(0.5)), Time(latency.Quantile(0.99)),
                     Grouped(interval.failed));
}

}  // namespace torchfleet::cli
