#include "registry/catalogue/catalogue.h"

#include <fmt/format.h>

#include <utility>

#include "base/ids.h"
#include "base/status.h"
#include "registry/catalogue/rules/edits.h"
#include "registry/catalogue/rules/lists.h"

namespace torchfleet::registry {
namespace {

// One write, from its first check to its answer.
class PendingWrite : public std::enable_shared_from_this<PendingWrite> {
 public:
  using Check = std::function<absl::StatusOr<Edit>(const CatalogueView&, const Stamp&)>;

  PendingWrite(std::shared_ptr<CatalogueFollower> follower, Catalogue::Date date, Check check,
               Catalogue::Answer<v1::Change> done)
      : follower_(std::move(follower)),
        date_(std::move(date)),
        check_(std::move(check)),
        done_(std::move(done)) {}

  // `current`: what is known is the latest, so that a refusal is final.
  void Try(bool current) {
    const Stamp stamp{.now = date_(), .id = RandomId()};
    auto edit = follower_->With([&](const CatalogueView& view) { return check_(view, stamp); });
    if (!edit.ok()) {
      // No state makes this request right.
      const bool hopeless = absl::IsInvalidArgument(edit.status());
      return current || hopeless ? done_(edit.status()) : TryCurrent();
    }
    change_ = std::move(edit->change);
    follower_->store().Commit(std::move(edit->transaction),
                              [self = shared_from_this()](absl::StatusOr<uint64_t> revision) {
                                self->OnCommitted(std::move(revision));
                              });
  }

 private:
  void OnCommitted(absl::StatusOr<uint64_t> revision) {
    if (revision.ok()) {
      change_.set_revision(*revision);
      if (change_.has_model()) change_.mutable_model()->set_revision(*revision);
      if (change_.has_route()) change_.mutable_route()->set_revision(*revision);
      return done_(std::move(change_));
    }
    if (!absl::IsAborted(revision.status())) return done_(revision.status());
    if (++tries_ < Catalogue::kMaxTries) return TryCurrent();
    done_(absl::AbortedError(
        fmt::format("what this change was checked against has changed {} times meanwhile; try "
                    "again",
                    tries_)));
  }

  void TryCurrent() {
    follower_->WhenCurrent([self = shared_from_this()](absl::Status status) {
      status.ok() ? self->Try(true) : self->done_(std::move(status));
    });
  }

  const std::shared_ptr<CatalogueFollower> follower_;
  const Catalogue::Date date_;
  const Check check_;
  const Catalogue::Answer<v1::Change> done_;
  // Of the last try; one at a time.
  v1::Change change_;
  int tries_ = 0;
};

// The answer to a write, from its entry in the trail.
template <typename Response>
Response ResponseOf(v1::Change& change) {
  Response response;
  if constexpr (requires { response.mutable_model(); })
    response.mutable_model()->Swap(change.mutable_model());
  if constexpr (requires { response.mutable_route(); })
    response.mutable_route()->Swap(change.mutable_route());
  return response;
}

// The trail is read as it is: it has no allow_stale.
template <typename Request>
bool AllowsStale(const Request& request) {
  if constexpr (requires { request.allow_stale(); }) return request.allow_stale();
  return false;
}

}  // namespace

Catalogue::Catalogue(Store& store, Date date)
    : date_(std::move(date)), follower_(std::make_shared<CatalogueFollower>(store)) {
  follower_->Follow();
}

Catalogue::~Catalogue() { follower_->Stop(); }

template <typename Request, typename Response>
void Catalogue::Read(const Request& request, Answer<Response> done) {
  auto answer = [follower = follower_, request,
                 done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    done(follower->With([&](const CatalogueView& view) { return AnswerTo(view, request); }));
  };
  if (AllowsStale(request)) return answer(follower_->Seen());
  follower_->WhenCurrent(std::move(answer));
}

template <typename Request, typename Response>
void Catalogue::Write(Request request, Answer<Response> done) {
  std::make_shared<PendingWrite>(
      follower_, date_,
      [request = std::move(request)](const CatalogueView& view, const Stamp& stamp) {
        return EditOf(view, request, stamp);
      },
      [done = std::move(done)](absl::StatusOr<v1::Change> change) {
        if (!change.ok()) return done(change.status());
        done(ResponseOf<Response>(*change));
      })
      ->Try(false);
}

void Catalogue::Call(v1::CreateModelRequest request, Answer<v1::CreateModelResponse> done) {
  Write(std::move(request), std::move(done));
}
void Catalogue::Call(v1::GetModelRequest request, Answer<v1::GetModelResponse> done) {
  Read(request, std::move(done));
}
void Catalogue::Call(v1::ListModelsRequest request, Answer<v1::ListModelsResponse> done) {
  Read(request, std::move(done));
}
void Catalogue::Call(v1::UpdateModelRequest request, Answer<v1::UpdateModelResponse> done) {
  Write(std::move(request), std::move(done));
}
void Catalogue::Call(v1::DeleteModelRequest request, Answer<v1::DeleteModelResponse> done) {
  Write(std::move(request), std::move(done));
}
void Catalogue::Call(v1::SetRouteRequest request, Answer<v1::SetRouteResponse> done) {
  Write(std::move(request), std::move(done));
}
void Catalogue::Call(v1::GetRouteRequest request, Answer<v1::GetRouteResponse> done) {
  Read(request, std::move(done));
}
void Catalogue::Call(v1::ListRoutesRequest request, Answer<v1::ListRoutesResponse> done) {
  Read(request, std::move(done));
}
void Catalogue::Call(v1::DeleteRouteRequest request, Answer<v1::DeleteRouteResponse> done) {
  Write(std::move(request), std::move(done));
}
void Catalogue::Call(v1::ListChangesRequest request, Answer<v1::ListChangesResponse> done) {
  Read(request, std::move(done));
}

}  // namespace torchfleet::registry
