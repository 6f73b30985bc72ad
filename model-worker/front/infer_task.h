#pragma once
// One inference request from its bytes to its answer: parsed and checked on the
// loop that it came by, queued, run elsewhere, answered on its loop again.
//
//   Start ─► queued ─► Answer (any thread) ─► AnswerBox ─► OnAnswer (the loop)
//     └── refused: OnAnswer at once       Abandon: nobody waits any more
//
// Used again after OnAnswer. It lives as long as its box, which waits for those
// that are still out. On its loop's thread, but for what Request has.

#include <string_view>
#include <vector>

#include "base/snapshot.h"
#include "model-worker/engine.h"
#include "model-worker/execute/memory_budget.h"
#include "model-worker/front/answer_box.h"
#include "model-worker/front/codec.h"
#include "model-worker/front/model_statistics.h"
#include "model-worker/front/open_calls.h"
#include "model-worker/front/readiness.h"
#include "net/buffer/block.h"
#include "wire/load_report.h"

namespace torchfleet::worker {

// What every request of a worker shares; outlives the requests.
struct InferContext {
  const Snapshot<Engine>& engine;
  ModelStatistics& statistics;
  OpenCalls& open_calls;
  const Readiness& readiness;
  MemoryBudget& memory;
  const Clock& clock;
};

// What is known of a call beside its message.
struct CallOrigin {
  // Callers share the worker; see WaitingLine.
  uint64_t caller = 0;
  // MODEL/VERSION that a gateway chose in place of what the message names; empty
  // when it chose none.
  std::string_view route = {};
};

class InferTask final : public Request {
 public:
  // Who asked.
  class Asker {
   public:
    // Once for each Start: the model's outputs, or why there are none. The task
    // keeps the request's bytes until this returns.
    virtual void OnAnswer(InferTask& task, absl::StatusOr<std::vector<OutputTensor>> outputs) = 0;

   protected:
    ~Asker() = default;
  };

  InferTask(const InferContext& context, AnswerBox& box, Asker& asker)
      : context_(context),
        box_(box),
        asker_(asker),
        timer_(box.loop(), [this] { PassTimeout(); }) {}

  // `message`: a ModelInferRequest. NOT_FOUND for another model, INVALID_ARGUMENT
  // for what the model does not take, UNAVAILABLE with a retry delay when there
  // is no room, or not yet, or no longer.
  void Start(const net::Slice& message, Instant deadline, const CallOrigin& origin);
  // Takes it out of the queue, and OnAnswer comes with CANCELLED or
  // DEADLINE_EXCEEDED; what runs already is answered when the model comes back.
  void Abandon();

  // What an answer has of the request, until OnAnswer returns. The id is empty
  // for a message that is none.
  AnswerForm form() const {
    return {.id = view_.id(), .wanted = checked_.outputs, .tells_final = tells_final_};
  }

  // How busy the worker is without this request, until OnAnswer returns.
  const wire::LoadReport& load() const { return load_; }

  // What the model of an answer takes and gives, until OnAnswer returns.
  const ModelSpec& spec() const { return *spec_; }

  const CheckedRequest& checked() const override { return checked_; }
  const RequestTerms& terms() const override { return terms_; }
  void Answer(absl::StatusOr<std::vector<OutputTensor>> outputs,
              const RequestTimes& times) override;

 private:
  friend class AnswerBox;

  absl::Status Admit(std::string_view route);
  absl::Status CountBytes();
  absl::Status Check(std::string_view route);
  absl::Status CheckModel(std::string_view route) const;
  // It has waited in the queue for as long as it may.
  void PassTimeout();
  // On the loop.
  void Deliver();
  void End(absl::StatusOr<std::vector<OutputTensor>> outputs);

  const InferContext& context_;
  AnswerBox& box_;
  Asker& asker_;
  net::Slice message_;
  wire::InferRequestView view_;
  DecodedRequest decoded_;
  CheckedRequest checked_;
  RequestTerms terms_;
  // Held while the request is under way.
  std::shared_ptr<const Engine> engine_;
  const ModelSpec* spec_ = nullptr;
  net::Timer timer_;
  wire::LoadReport load_;
  bool tells_final_ = false;
  bool counted_open_ = false;
  // What of its bytes is counted in the memory's budget.
  uint64_t counted_bytes_ = 0;
  // In the queue, or in an executor's hands.
  bool out_ = false;
  // Handed over with the box's lock.
  absl::StatusOr<std::vector<OutputTensor>> outputs_ = std::vector<OutputTensor>();
};

}  // namespace torchfleet::worker
