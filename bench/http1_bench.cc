// What it costs to read an HTTP/1.1 request, here and by Boost.Beast:
// nanoseconds of CPU per request, medians of windows of one thread in which the
// readers take turns. Then which of the two refuses texts that two parties could
// read in two ways.
//
// Beast is measured as its example of a fast server uses it: a parser is made
// anew for each request, as it must be, but all it allocates lies in an arena
// that is used again, and a head that is cut lies in one piece. Its body is a
// list of views, as ours is, and in another column its own buffer_body, which
// copies into room that is there already.

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdlib>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "net/http1/http1_reader.h"

namespace torchfleet::net {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

constexpr size_t kHeaderBytes = 8 << 10;
// What one read of a socket gives at most.
constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kMostBody = 64 << 10;

// Keeps the compiler from dropping what nobody reads.
template <typename T>
void Use(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

void Require(bool ok) {
  if (!ok) std::abort();
}

// Of this thread, so that what else the machine does is not counted.
std::chrono::nanoseconds CpuTime() {
  timespec time{};
  Require(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

template <typename Work>
double WindowOf(const Work& work) {
  constexpr auto kWindow = std::chrono::milliseconds(10);
  const auto start = CpuTime();
  size_t done = 0;
  std::chrono::duration<double, std::nano> elapsed{};
  while (elapsed < kWindow) {
    for (int k = 0; k < 32; ++k) work();
    done += 32;
    elapsed = CpuTime() - start;
  }
  return elapsed.count() / static_cast<double>(done);
}

// Of each work, which take turns: a slow second of the machine is everyone's.
template <typename... Works>
std::array<double, sizeof...(Works)> NanosecondsEach(const Works&... works) {
  constexpr int kWindows = 21;
  std::array<std::vector<double>, sizeof...(Works)> windows;
  for (int i = 0; i < kWindows; ++i) {
    size_t at = 0;
    (windows[at++].push_back(WindowOf(works)), ...);
  }
  std::array<double, sizeof...(Works)> medians{};
  for (size_t i = 0; i < medians.size(); ++i) {
    const auto middle = windows[i].begin() + kWindows / 2;
    std::nth_element(windows[i].begin(), middle, windows[i].end());
    medians[i] = *middle;
  }
  return medians;
}

// A request's bytes, and how many of them the first read gives; later ones give
// kReadBytes.
struct Request {
  std::string bytes;
  size_t first_read = kReadBytes;
};

// What was read, for the two to be compared.
struct Reading {
  std::string method, target, host, body;
  // Without those of one connection, which Http1Reader leaves out.
  std::vector<std::pair<std::string, std::string>> fields;

  bool operator==(const Reading&) const = default;
};

class Ours {
 public:
  // Whether the request is whole and was not refused.
  bool Read(const Request& request) {
    reader_.Begin();
    body_.clear();
    std::string_view bytes = request.bytes;
    for (size_t room = request.first_read; !bytes.empty(); room = kReadBytes) {
      std::string_view read = bytes.substr(0, room);
      bytes.remove_prefix(read.size());
      Event event = Event::kMore;
      do {
        event = reader_.Next(read, head_, trailers_);
        if (event == Event::kBody) body_.push_back(reader_.body());
        if (event == Event::kEnd || (event == Event::kHead && !reader_.message().has_body)) {
          return true;
        }
      } while (event != Event::kMore && event != Event::kError);
    }
    return false;
  }

  Reading Result() const {
    Reading reading = {.method = std::string(head_.ValueOr(":method", "")),
                       .target = std::string(head_.ValueOr(":path", "")),
                       .host = std::string(head_.ValueOr(":authority", "")),
                       .body = {},
                       .fields = {}};
    for (const std::string_view piece : body_) reading.body += piece;
    for (const auto& [name, value] : head_) {
      if (!name.starts_with(':')) reading.fields.emplace_back(name, value);
    }
    return reading;
  }

 private:
  using Event = Http1Reader::Event;

  Http1Reader reader_{Http1Reader::Role::kRequests, kHeaderBytes};
  Headers head_, trailers_;
  std::vector<std::string_view> body_;
};

// A body for Beast that notes where the bytes are.
struct ViewsBody {
  using value_type = std::vector<std::string_view>*;

  class reader {
   public:
    template <bool kIsRequest, typename Fields>
    reader(http::header<kIsRequest, Fields>&, value_type& views) : views_(views) {}
    void init(const boost::optional<uint64_t>&, beast::error_code& error) { error = {}; }
    template <typename Buffers>
    size_t put(const Buffers& buffers, beast::error_code& error) {
      error = {};
      size_t count = 0;
      for (const auto buffer : beast::buffers_range_ref(buffers)) {
        views_->emplace_back(static_cast<const char*>(buffer.data()), buffer.size());
        count += buffer.size();
      }
      return count;
    }
    void finish(beast::error_code& error) { error = {}; }

   private:
    value_type& views_;
  };
};

template <typename Body>
class Beasts {
 public:
  bool Read(const Request& request) {
    Begin();
    const char* at = request.bytes.data();
    const char* const end = at + request.bytes.size();
    const char* read_end = at;
    beast::error_code error;
    for (size_t room = request.first_read; read_end != end; room = kReadBytes) {
      read_end += std::min(room, static_cast<size_t>(end - read_end));
      while (at != read_end && !parser_->is_done() && error != http::error::need_more) {
        const auto left = static_cast<size_t>(read_end - at);
        at += parser_->put(boost::asio::const_buffer(at, left), error);
        if (error && error != http::error::need_more) return false;
      }
      error = {};
    }
    return parser_->is_done();
  }

  Reading Result() const {
    const auto& message = parser_->get();
    Reading reading = {.method = std::string(message.method_string()),
                       .target = std::string(message.target()),
                       .host = std::string(message[http::field::host]),
                       .body = BodyText(),
                       .fields = {}};
    for (const auto& field : message) {
      const bool of_connection = field.name() == http::field::host ||
                                 field.name() == http::field::connection ||
                                 field.name() == http::field::transfer_encoding;
      if (of_connection) continue;
      std::string name(field.name_string());
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      reading.fields.emplace_back(std::move(name), field.value());
    }
    return reading;
  }

 private:
  using Allocator = std::pmr::polymorphic_allocator<char>;

  void Begin() {
    parser_.reset();
    arena_.release();
    parser_.emplace(std::piecewise_construct, std::make_tuple(),
                    std::make_tuple(Allocator(&arena_)));
    parser_->eager(true);
    parser_->header_limit(kHeaderBytes);
    if constexpr (std::is_same_v<Body, ViewsBody>) {
      views_.clear();
      parser_->get().body() = &views_;
    } else {
      parser_->get().body() = {.data = room_.data(), .size = room_.size(), .more = true};
    }
  }

  std::string BodyText() const {
    std::string text;
    if constexpr (std::is_same_v<Body, ViewsBody>) {
      for (const std::string_view piece : views_) text += piece;
    } else {
      text.assign(room_.data(), room_.size() - parser_->get().body().size);
    }
    return text;
  }

  std::array<char, 2 * kHeaderBytes> arena_room_;
  std::pmr::monotonic_buffer_resource arena_{arena_room_.data(), arena_room_.size()};
  std::optional<http::request_parser<Body, Allocator>> parser_;
  std::vector<std::string_view> views_;
  std::string room_ = std::string(kMostBody, '\0');
};

// As curl asks whether a server is ready.
Request SmallGet() {
  return {.bytes =
              "GET /v2/health/ready HTTP/1.1\r\nHost: localhost:8000\r\n"
              "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"};
}

// As Python's requests sends it; `framing` is the header that tells how long it is.
Request Post(std::string_view framing, std::string_view body) {
  return {.bytes = fmt::format("POST /v2/models/mnist/infer HTTP/1.1\r\nHost: localhost:8000\r\n"
                               "User-Agent: python-requests/2.32.3\r\n"
                               "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
                               "Connection: keep-alive\r\nContent-Type: application/json\r\n"
                               "{}\r\n\r\n{}",
                               framing, body)};
}

std::string Json(size_t bytes) {
  std::string json =
      R"({"inputs": [{"name": "x", "shape": [1, 784], "datatype": "FP32", "data": [)";
  while (json.size() + 12 <= bytes - 4) json += "0.12345678, ";
  json.append(bytes - 4 - json.size(), '0');
  return json + "]}]}";
}

Request WholePost(size_t bytes) {
  return Post(fmt::format("Content-Length: {}", bytes), Json(bytes));
}

Request ChunkedPost(size_t bytes, size_t chunk_bytes) {
  const std::string json = Json(bytes);
  std::string chunks;
  for (size_t at = 0; at < json.size(); at += chunk_bytes) {
    const std::string chunk = json.substr(at, chunk_bytes);
    chunks += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
  }
  return Post("Transfer-Encoding: chunked", chunks + "0\r\n\r\n");
}

void BenchRead(std::string_view name, const Request& request) {
  Ours ours;
  Beasts<ViewsBody> views;
  Beasts<http::buffer_body> copies;
  const auto reads = [&request](auto& subject) {
    return [&] {
      Require(subject.Read(request));
      Use(subject);
    };
  };
  const auto [here, viewed, copied] = NanosecondsEach(reads(ours), reads(views), reads(copies));
  Require(ours.Result() == views.Result() && ours.Result() == copies.Result());
  fmt::print("| {} | {} | {:.0f} | {:.0f} | {:.0f} | {:.2f} |\n", name, request.bytes.size(), here,
             viewed, copied, here / std::min(viewed, copied));
}

void BenchReads() {
  fmt::print(
      "| request | bytes | here ns | Beast, views ns | Beast, buffer_body ns | ratio |\n"
      "|---|---|---|---|---|---|\n");
  BenchRead("GET", SmallGet());
  Request cut = SmallGet();
  cut.first_read = 60;
  BenchRead("GET in two reads", cut);
  BenchRead("POST of 3 KiB", WholePost(3 << 10));
  BenchRead("POST of 15 KiB", WholePost(15 << 10));
  BenchRead("POST of 15 KiB in chunks of 4 KiB", ChunkedPost(15 << 10, 4 << 10));
  BenchRead("POST of 64 KiB in reads of 16 KiB", WholePost(64 << 10));
}

void ShowStrictness(std::string_view name, std::string bytes) {
  Ours ours;
  Beasts<ViewsBody> beasts;
  const Request request = {.bytes = std::move(bytes)};
  const auto word = [&](auto& subject) { return subject.Read(request) ? "takes" : "refuses"; };
  fmt::print("| {} | {} | {} |\n", name, word(ours), word(beasts));
}

void ShowRefusals() {
  const std::string line = "POST / HTTP/1.1\r\n", begun = line + "Host: a\r\n", end = "\r\n\r\n";
  const std::string chunks = "0\r\n\r\n";
  fmt::print("\n| text | here | Beast |\n|---|---|---|\n");
  ShowStrictness("a header line ends in a bare line feed", begun + "A: b\nC: d" + end);
  ShowStrictness("a chunk's line does",
                 begun + "Transfer-Encoding: chunked" + end + "1\nx\r\n" + chunks);
  ShowStrictness("a folded line", begun + "A: b\r\n c" + end);
  ShowStrictness("a space before the colon", begun + "A : b" + end);
  ShowStrictness("two lengths that differ",
                 begun + "Content-Length: 1\r\nContent-Length: 2" + end + "xx");
  ShowStrictness("two lengths alike", begun + "Content-Length: 1\r\nContent-Length: 1" + end + "x");
  ShowStrictness("two lengths in one line", begun + "Content-Length: 1, 1" + end + "x");
  ShowStrictness("a length before chunks",
                 begun + "Content-Length: 5\r\nTransfer-Encoding: chunked" + end + chunks);
  ShowStrictness("a length behind chunks",
                 begun + "Transfer-Encoding: chunked\r\nContent-Length: 5" + end + chunks);
  ShowStrictness("a transfer coding that is not chunked",
                 begun + "Transfer-Encoding: identity" + end);
  ShowStrictness("another coding beneath chunks",
                 begun + "Transfer-Encoding: gzip, chunked" + end + chunks);
  ShowStrictness("chunks in HTTP/1.0",
                 "POST / HTTP/1.0\r\nTransfer-Encoding: chunked" + end + chunks);
  ShowStrictness("no Host", line + "A: b" + end);
  ShowStrictness("two Hosts", begun + "Host: b" + end);
}

}  // namespace
}  // namespace torchfleet::net

int main() {
  torchfleet::net::BenchReads();
  torchfleet::net::ShowRefusals();
  return 0;
}
