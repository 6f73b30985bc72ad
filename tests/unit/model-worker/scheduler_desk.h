#pragma once
// A scheduler in the hands of a test, with a clock that stands still.

#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <vector>

#include "model-worker/queue/scheduler.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {

// A model with a batch and one input of so many columns.
inline ModelSpec Batched(int64_t most) {
  ModelSpec spec;
  spec.name = "batched";
  spec.max_batch_size = most;
  spec.inputs = {{"x", wire::DataType::kUint8, {-1, -1}}};
  spec.outputs = {{"y", wire::DataType::kUint8, {-1, -1}}};
  spec.batching.most = most;
  return spec;
}

class Desk {
 public:
  explicit Desk(const ModelSpec& spec, int cores = 1)
      : spec_(spec), scheduler(spec_, cores, statistics, clock) {}

  FakeRequest& Make(RequestTerms terms = {}, int64_t rows = 1, int64_t columns = 1) {
    CheckedRequest checked;
    checked.inputs = {{{rows, columns}, {}, false}};
    checked.batch = rows;
    if (spec_.lengths.any()) checked.length = columns;
    return requests_.emplace_back(terms, std::move(checked));
  }
  FakeRequest& Push(RequestTerms terms = {}, int64_t rows = 1, int64_t columns = 1) {
    FakeRequest& request = Make(terms, rows, columns);
    REQUIRE(scheduler.Push(request).ok());
    return request;
  }
  // The batch that is there, for whomever.
  std::vector<Request*> Take() {
    if (!scheduler.TakeHere(batch).taken) REQUIRE(scheduler.Take(batch));
    return batch.requests();
  }
  // What was taken last is over.
  void Finish(absl::Duration took) {
    clock.Advance(took);
    scheduler.Done(batch, took);
    for (Request* const request : batch.requests()) {
      request->Answer(std::vector<OutputTensor>(), {});
    }
  }
  // Batches of so many rows have taken so long.
  void Teach(int64_t rows, absl::Duration took, int times = 4) {
    for (int i = 0; i < times; ++i) {
      Push({}, rows);
      REQUIRE(Take().size() == 1);
      Finish(took);
      // Long enough to be no rush.
      clock.Advance(absl::Hours(1));
    }
  }

  ManualClock clock;
  QueueStatistics statistics;

 private:
  const ModelSpec spec_;
  std::deque<FakeRequest> requests_;

 public:
  Scheduler scheduler;
  Batch batch;
};

}  // namespace torchfleet::worker
