#include "registry/store/etcd_mirror.h"

#include <algorithm>
#include <random>
#include <utility>

namespace torchfleet::registry {

namespace {
constexpr int64_t kPage = 1000;
constexpr absl::Duration kSignOfLife = absl::Milliseconds(500);
constexpr int kMaxSilent = 3;
}  // namespace

EtcdMirror::EtcdMirror(TaskLoop& loop, EtcdCalls& calls, const EtcdKeys& keys, Observer& observer)
    : loop_(loop),
      calls_(calls),
      keys_(keys),
      observer_(observer),
      backoff_(std::random_device{}()) {}

void EtcdMirror::Start() {
  Read();
  loop_.After(kSignOfLife, [this] { AskForLife(); });
}

void EtcdMirror::Stop() {
  stopping_ = true;
  if (watch_) watch_->Cancel();
}

std::vector<Item> EtcdMirror::Items(Space space) const {
  std::vector<Item> items;
  const Table& table = space == Space::kCatalogue ? catalogue_ : live_;
  items.reserve(table.size());
  for (const auto& [key, item] : table) items.push_back(item);
  return items;
}

void EtcdMirror::Read() {
  if (stopping_) return;
  member_ = &calls_.member();
  if (!listed_) {
    listing_ = std::make_unique<Listing>();
    ReadPage(keys_.begin());
    return;
  }
  reading_ = true;
  etcdserverpb::RangeRequest request;
  request.set_key(keys_.tick());
  request.set_count_only(true);
  calls_.Range(std::move(request), [this](auto response) { OnRead(std::move(response)); });
}

void EtcdMirror::OnRead(absl::StatusOr<etcdserverpb::RangeResponse> response) {
  reading_ = false;
  if (stopping_) return;
  if (!response.ok()) {
    Fail(response.status());
    return;
  }
  const auto& header = response->header();
  const bool another = header.cluster_id() != cluster_id_;
  // Restored from a backup, which is a past that watchers have seen beyond.
  const bool went_back = static_cast<uint64_t>(header.revision()) < reached_;
  if (another || went_back) {
    listing_ = std::make_unique<Listing>();
    ReadPage(keys_.begin());
    return;
  }
  Watch();
}

void EtcdMirror::ReadPage(std::string from) {
  reading_ = true;
  etcdserverpb::RangeRequest request;
  request.set_key(std::move(from));
  request.set_range_end(keys_.end());
  request.set_limit(kPage);
  request.set_revision(listing_->revision);
  calls_.Range(std::move(request), [this](auto response) { OnPage(std::move(response)); });
}

void EtcdMirror::OnPage(absl::StatusOr<etcdserverpb::RangeResponse> response) {
  reading_ = false;
  if (stopping_) return;
  if (!response.ok()) {
    Fail(response.status());
    return;
  }
  if (listing_->revision == 0) {
    listing_->revision = response->header().revision();
    listing_->cluster_id = response->header().cluster_id();
  }
  std::string last;
  for (mvccpb::KeyValue& value : *response->mutable_kvs()) {
    last = value.key();
    auto parsed = keys_.Parse(last);
    if (!parsed) continue;
    auto& [space, key] = *parsed;
    Table& table = space == Space::kCatalogue ? listing_->catalogue : listing_->live;
    table.emplace_hint(table.end(), key, ItemOf(key, std::move(value), /*gone=*/false));
  }
  if (response->more() && !last.empty()) {
    ReadPage(last + '\0');
    return;
  }
  Adopt();
  Watch();
}

void EtcdMirror::Adopt() {
  const auto listing = std::exchange(listing_, nullptr);
  catalogue_ = std::move(listing->catalogue);
  live_ = std::move(listing->live);
  listed_ = true;
  cluster_id_ = listing->cluster_id;
  reached_ = static_cast<uint64_t>(listing->revision);
  observer_.OnListed();
  observer_.OnReached(reached_);
}

void EtcdMirror::Watch() {
  EtcdCalls::Member& member = calls_.member();
  member_ = &member;
  silent_ = 0;
  cancelled_for_ = absl::OkStatus();
  watch_ = std::make_shared<Stream>(
      loop_, [this](etcdserverpb::WatchResponse& response) { OnWatch(response); },
      [this, &member](const grpc::Status& status) {
        watch_ = nullptr;
        if (stopping_) return;
        Fail(cancelled_for_.ok() ? FromEtcd(status, member.address) : cancelled_for_);
      });
  DemandLeader(watch_->context());
  watch_->Open([&](grpc::ClientContext& context, Stream::Reactor* reactor) {
    member.watch->async()->Watch(&context, reactor);
  });
  etcdserverpb::WatchRequest request;
  auto& create = *request.mutable_create_request();
  create.set_key(keys_.begin());
  create.set_range_end(keys_.end());
  create.set_start_revision(static_cast<int64_t>(reached_ + 1));
  watch_->Write(std::move(request));
}

void EtcdMirror::OnWatch(etcdserverpb::WatchResponse& response) {
  if (stopping_) return;
  silent_ = 0;
  if (response.canceled()) {
    // What was missed is forgotten: all of it is to be listed anew.
    if (response.compact_revision() > 0) listed_ = false;
    cancelled_for_ = absl::UnavailableError(
        response.compact_revision() > 0 ? "the revision to go on from is compacted"
                                        : "the watch was ended: " + response.cancel_reason());
    watch_->Cancel();
    return;
  }
  if (response.created() && response.compact_revision() == 0) {
    failures_ = 0;
    backoff_.Reset();
    watching_ = true;
    observer_.OnWatching(true, absl::OkStatus());
  }
  if (!response.events().empty()) OnEvents(response);
}

void EtcdMirror::OnEvents(etcdserverpb::WatchResponse& response) {
  std::vector<Item> run;
  Space run_space = Space::kCatalogue;
  for (mvccpb::Event& event : *response.mutable_events()) {
    const auto parsed = keys_.Parse(event.kv().key());
    if (!parsed) continue;
    const auto& [space, key] = *parsed;
    if (space != run_space) Tell(run_space, run);
    run_space = space;
    const bool gone = event.type() == mvccpb::Event::DELETE;
    run.push_back(ItemOf(key, std::move(*event.mutable_kv()), gone));
  }
  Tell(run_space, run);
  // Beyond what was told where it ends with a tick.
  const auto& last = response.events(response.events_size() - 1).kv();
  reached_ = std::max(reached_, static_cast<uint64_t>(last.mod_revision()));
  observer_.OnReached(reached_);
}

void EtcdMirror::Tell(Space space, std::vector<Item>& run) {
  if (run.empty()) return;
  Table& table = space == Space::kCatalogue ? catalogue_ : live_;
  for (const Item& item : run) {
    if (item.value) {
      table.insert_or_assign(item.key, item);
    } else {
      table.erase(item.key);
    }
  }
  reached_ = run.back().modified;
  observer_.OnChanges(space, run, reached_);
  run.clear();
}

void EtcdMirror::AskForLife() {
  if (stopping_) return;
  loop_.After(kSignOfLife, [this] { AskForLife(); });
  if (!watch_) return;
  if (++silent_ > kMaxSilent) {
    cancelled_for_ = absl::UnavailableError("no sign of life from etcd at " + member_->address);
    watch_->Cancel();
    return;
  }
  if (!watching_ || !watch_->idle()) return;
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  watch_->Write(std::move(request));
}

void EtcdMirror::Fail(const absl::Status& why) {
  const bool compacted = !listed_ && watching_;
  listing_ = nullptr;
  watching_ = false;
  if (compacted) {
    Read();
    return;
  }
  calls_.Lost(*member_);
  observer_.OnWatching(false, why);
  const bool all_failed = ++failures_ % calls_.member_count() == 0;
  loop_.After(all_failed ? backoff_.Next() : absl::ZeroDuration(), [this] { Read(); });
}

}  // namespace torchfleet::registry
