#pragma once
// How long a model takes for a batch, learned from the batches that ran.
//
// A straight line, fixed + size × each, fitted by least squares whose weights
// fall by a tenth with every batch, so that it follows a machine that changes.
// While only one size runs the slope stays as it was; before there is one, all of
// the time is taken for fixed. Beside it the mean distance of what came from what
// the line said.
//
// `size` is what the time grows with: rows, or elements where rows differ in
// length. Pure. Not thread-safe.

#include "absl/time/time.h"

namespace torchfleet::worker {

class ServiceTime {
 public:
  void Add(double size, absl::Duration took);

  // Whether enough batches ran to build on it.
  bool known() const { return count_ >= kEnough; }
  // What a batch is expected to take. Of a size over all that ran, when only one
  // ever ran: as much more as it is larger.
  absl::Duration Expected(double size) const;
  // The same, but with nothing more for what is not known.
  absl::Duration AtLeast(double size) const { return absl::Seconds(fixed_ + each_ * size); }
  // What few batches take longer than.
  absl::Duration Upper(double size) const;
  // What a batch takes however small it is.
  absl::Duration fixed() const { return absl::Seconds(fixed_); }

 private:
  static constexpr int kEnough = 4;

  void Fit();

  int count_ = 0;
  // Weighted sums.
  double weight_ = 0, sizes_ = 0, times_ = 0, sizes_squared_ = 0, products_ = 0;
  double fixed_ = 0, each_ = 0;
  double distance_ = 0;
  // Whether several sizes ran, ever.
  bool sloped_ = false;
};

}  // namespace torchfleet::worker
