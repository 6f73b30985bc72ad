#include "net/tls/tls_stream.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace torchfleet::net {
namespace {

constexpr size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
// Plain bytes for one send.
constexpr size_t kMostTaken = 16 * kRecord;
// More than one Write leaves behind: a peer that makes us answer and reads
// nothing.
constexpr size_t kMostUnsent = 2 * kMostTaken;

// Used by all streams of a thread, by each only within a call.
struct Scratch {
  char plain[kRecord];
  std::string records;
};
Scratch& ThisThreads() {
  thread_local const auto scratch = std::make_unique<Scratch>();
  return *scratch;
}

// Takes up to a record's worth of bytes off the parts, copied together where one
// part alone has less.
class Joiner {
 public:
  Joiner(const iovec* parts, int count) : parts_(parts), end_(parts + count) {}

  std::string_view Next(char* room) {
    SkipEmpty();
    if (parts_ == end_) return {};
    if (left() >= kRecord || parts_ + 1 == end_) return Take(kRecord);
    size_t joined = 0;
    while (joined < kRecord && parts_ != end_) {
      const std::string_view piece = Take(kRecord - joined);
      std::memcpy(room + joined, piece.data(), piece.size());
      joined += piece.size();
      SkipEmpty();
    }
    return {room, joined};
  }

 private:
  size_t left() const { return parts_->iov_len - used_; }
  void SkipEmpty() {
    while (parts_ != end_ && left() == 0) {
      ++parts_;
      used_ = 0;
    }
  }
  std::string_view Take(size_t most) {
    const std::string_view piece(static_cast<const char*>(parts_->iov_base) + used_,
                                 std::min(most, left()));
    used_ += piece.size();
    return piece;
  }

  const iovec* parts_;
  const iovec* const end_;
  size_t used_ = 0;
};

}  // namespace

// How OpenSSL reaches a TlsStream.
class TlsStream::Bio {
 public:
  static BIO* Make(TlsStream* stream) {
    static BIO_METHOD* const method = Method();
    BIO* const bio = BIO_new(method);
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    return bio;
  }

 private:
  static BIO_METHOD* Method() {
    BIO_METHOD* const method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "torchfleet");
    BIO_meth_set_read_ex(method, &Read);
    BIO_meth_set_write_ex(method, &Write);
    BIO_meth_set_ctrl(method, &Control);
    return method;
  }
  static int Read(BIO* bio, char* room, size_t size, size_t* count) {
    auto& stream = *static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (stream.may_receive_) {
      const ssize_t received = stream.socket_->Read(room, size);
      // Less than there was room for: that was all.
      stream.may_receive_ = received == static_cast<ssize_t>(size);
      if (received > 0) {
        *count = static_cast<size_t>(received);
        return 1;
      }
      if (received != kWait) return 0;
    }
    BIO_set_retry_read(bio);
    return 0;
  }
  static int Write(BIO* bio, const char* bytes, size_t size, size_t* count) {
    auto& stream = *static_cast<TlsStream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (stream.unsent_.size() > kMostUnsent) return 0;
    stream.Gather({bytes, size});
    *count = size;
    return 1;
  }
  static long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }
};

std::unique_ptr<TlsStream> TlsStream::ForServer(const TlsContext& context,
                                                std::unique_ptr<ByteStream> socket) {
  SSL* const ssl = SSL_new(context.get());
  SSL_set_accept_state(ssl);
  return std::unique_ptr<TlsStream>(new TlsStream(ssl, std::move(socket)));
}

std::unique_ptr<TlsStream> TlsStream::ForClient(const TlsContext& context,
                                                std::unique_ptr<ByteStream> socket,
                                                const std::string& host, Protocol protocol) {
  SSL* const ssl = SSL_new(context.get());
  SSL_set_connect_state(ssl);
  // An address is looked for among a certificate's addresses, and is no name
  // that a server could be asked for by.
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) != 1) {
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  const std::string_view offer = protocol == Protocol::kHttp1 ? "\x08http/1.1" : "\x02h2";
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(offer.data()),
                      static_cast<unsigned int>(offer.size()));
  std::unique_ptr<TlsStream> made(new TlsStream(ssl, std::move(socket)));
  made->may_choose_none_ = protocol == Protocol::kHttp1;
  return made;
}

TlsStream::TlsStream(SSL* ssl, std::unique_ptr<ByteStream> socket)
    : socket_(std::move(socket)), ssl_(ssl) {
  BIO* const bio = Bio::Make(this);
  SSL_set_bio(ssl_, bio, bio);
}

TlsStream::~TlsStream() {
  if ((state_ == State::kOpen || state_ == State::kEnded) && unsent_.empty()) {
    ERR_clear_error();
    may_receive_ = false;
    SSL_shutdown(ssl_);
    Send();
  }
  SSL_free(ssl_);
  ERR_clear_error();
}

// For a call that has moved no bytes.
ssize_t TlsStream::Idle() const {
  if (state_ == State::kBroken) return kBroken;
  return state_ == State::kEnded ? kEnd : kWait;
}

ssize_t TlsStream::Read(char* room, size_t size) {
  ERR_clear_error();
  may_receive_ = !std::exchange(more_, false);
  size_t taken = 0;
  if (Handshake()) {
    while (taken < size && state_ == State::kOpen) {
      size_t count = 0;
      const int result = SSL_read_ex(ssl_, room + taken, size - taken, &count);
      taken += count;
      if (result == 1) continue;
      Failed(result);
      if (state_ == State::kOpen) break;  // all is read
    }
    more_ = taken == size || (taken > 0 && state_ != State::kOpen);
  }
  Send();  // parts of the handshake, alerts
  return taken > 0 ? static_cast<ssize_t>(taken) : Idle();
}

ssize_t TlsStream::Write(const iovec* parts, int count) {
  may_receive_ = false;
  if (!unsent_.empty()) Send();
  if (!unsent_.empty() || state_ == State::kBroken) return Idle();
  size_t taken = 0;
  if (Handshake()) {
    Joiner joiner(parts, count);
    while (taken < kMostTaken) {
      const std::string_view next = joiner.Next(ThisThreads().plain);
      if (next.empty() || !Encrypt(next)) break;
      taken += next.size();
    }
  }
  Send();
  return taken > 0 && state_ != State::kBroken ? static_cast<ssize_t>(taken) : Idle();
}

bool TlsStream::Handshake() {
  if (state_ != State::kHandshaking) return true;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    Failed(result);
    return false;
  }
  const unsigned char* protocol;
  unsigned int size;
  SSL_get0_alpn_selected(ssl_, &protocol, &size);
  // Servers take what is said next for what it is; a client has to know before.
  const bool understood = SSL_is_server(ssl_) || size > 0 || may_choose_none_;
  if (!understood) LogWarning("a server speaks TLS, but not HTTP/2 over it");
  state_ = understood ? State::kOpen : State::kBroken;
  return understood;
}

void TlsStream::Failed(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      state_ = State::kEnded;
      return;
    default:
      break;
  }
  if (ERR_peek_error() != 0) {
    const long verified = SSL_get_verify_result(ssl_);
    const char* const reason = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                                     : ERR_reason_error_string(ERR_peek_error());
    const std::string_view text = reason ? reason : "unknown error";
    // Strangers fail as they like; a server that we chose should not.
    SSL_is_server(ssl_) ? LogDebug("TLS with a client failed", {{"reason", text}})
                        : LogWarning("TLS with a server failed", {{"reason", text}});
  }
  ERR_clear_error();
  state_ = State::kBroken;
}

bool TlsStream::Encrypt(std::string_view bytes) {
  ERR_clear_error();
  size_t count;
  const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &count);
  if (result == 1) return true;
  Failed(result);
  state_ = State::kBroken;  // Gather takes everything: there is nothing to wait for
  return false;
}

void TlsStream::Gather(std::string_view records) {
  (unsent_.empty() ? ThisThreads().records : unsent_).append(records);
}

// What was gathered, or is left from before.
void TlsStream::Send() {
  std::string& gathered = ThisThreads().records;
  std::string& records = unsent_.empty() ? gathered : unsent_;
  if (records.empty()) return;
  const iovec part{.iov_base = records.data(), .iov_len = records.size()};
  const ssize_t sent = socket_->Write(&part, 1);
  if (sent == kBroken) {
    state_ = State::kBroken;
    unsent_ = std::string();
  } else if (sent == static_cast<ssize_t>(records.size())) {
    if (&records == &unsent_) unsent_ = std::string();  // and its memory
  } else {
    const size_t done = sent > 0 ? static_cast<size_t>(sent) : 0;
    unsent_ = records.substr(done);
  }
  gathered.clear();
}

}  // namespace torchfleet::net
