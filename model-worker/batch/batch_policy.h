#pragma once
// When the requests that wait are a batch.
//
// With a delay from the configuration: at once when the batch is full or has a
// preferred size, else when its oldest request has waited the delay.
//
// Without one the delay is what pays. A batch costs `fixed` however small it is.
// To wait a moment d costs each of the n rows that wait d, and spares the rows
// that come in d the wait for a run without them. It is worth it as long as more
// rows than wait are expected within `fixed`; so a batch closes once it has as
// many rows as come, at the present rate, while the fixed cost of a run is
// spent. When calls come one by one that is at once; under load it is when the
// batch pays, and never later than `fixed` after its oldest request.
//
// Whatever the delay, a batch closes when a deadline in it would otherwise be
// missed, and when nothing more can come. Pure.

#include <cstdint>

#include "base/clock.h"
#include "model-worker/batch/batch_rules.h"

namespace torchfleet::worker {

// The requests that could run together now.
struct BatchChance {
  int64_t rows = 0;
  // No request that could join fits any more, or none may come.
  bool full = false;
  // When the oldest came.
  Instant oldest = {};
  // The earliest deadline in it, less what the batch will take.
  Instant latest_start = Instant::Infinite();
  // What is known of the model and its callers: what a run costs however small,
  // and rows that come meanwhile.
  absl::Duration fixed = absl::ZeroDuration();
  double rows_while_fixed = 0;
};

struct BatchDecision {
  // How many rows to run now, at least the first request's; 0: none yet.
  int64_t rows = 0;
  // When to decide again, if nothing changes.
  Instant until = Instant::Infinite();
};

BatchDecision DecideBatch(const BatchRules& rules, const BatchChance& chance, Instant now);

}  // namespace torchfleet::worker
