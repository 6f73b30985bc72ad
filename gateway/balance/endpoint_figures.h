#pragma once
// What a gateway shows of one endpoint: plain values, as of a moment.

#include <cstdint>

#include "absl/time/time.h"
#include "base/latency_buckets.h"
#include "gateway/balance/endpoint_judgement.h"
#include "gateway/balance/outlier_policy.h"

namespace torchfleet::gateway {

// Attempts since this gateway knows the address. They only grow, also when another
// process takes the worker's place there.
struct EndpointCounts {
  // By how they ended: answered by the model; the model failed; the worker found
  // fault with the request; it took no call; the connection broke, or there was
  // none; given up after a time that is long for the model. Those given up sooner
  // are in none.
  uint64_t answered = 0, failed = 0, invalid = 0, refused = 0, lost = 0, silent = 0;
  // Begun after another worker had failed, and while another one took long.
  uint64_t retries = 0, hedges = 0;
  // How often it was taken out.
  uint64_t ejections = 0;
  // Of all answers.
  absl::Duration latency = absl::ZeroDuration();

  uint64_t ended() const { return answered + failed + invalid + refused + lost + silent; }
};

struct EndpointFigures {
  EndpointCounts counts = {};
  // Answers of about the last ten seconds, by how long they took.
  LatencyBuckets::Counts late = {};
  int64_t outstanding = 0, limit = 0;
  // Calls there that are not ours, as it last said, and how many it can run at once;
  // 0 until it has said so.
  double others = 0;
  uint32_t capacity = 0;
  EjectionState state = EjectionState::kServing;
  // Why it is out, and for how long yet.
  OutlierVerdict why = OutlierVerdict::kNone;
  absl::Duration left = absl::ZeroDuration();
};

}  // namespace torchfleet::gateway
