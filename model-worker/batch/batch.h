#pragma once
// Requests that run together, from their inputs to their answers.
//
// Used again, its memory kept. Not thread-safe; borrows the spec, and the
// requests until they are answered.

#include <algorithm>
#include <vector>

#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/queue/request.h"

namespace torchfleet::worker {

// Whether two requests of a model with a batch may run together: they have the
// same inputs, of the same shapes but for their rows, and for the dimension in
// which the model's requests may differ.
bool CanShare(const ModelSpec& spec, const CheckedRequest& a, const CheckedRequest& b);

class Batch {
 public:
  void Clear();
  void Add(Request& request);

  bool empty() const { return requests_.empty(); }
  const std::vector<Request*>& requests() const { return requests_; }
  int64_t rows() const { return rows_; }
  // Rows times the longest row's elements, along the dimension in which requests
  // differ, and how many of them are padding. Just rows where none differs.
  int64_t elements() const { return rows_ * std::max<int64_t>(length_, 1); }
  int64_t padding() const { return length_ > 0 ? elements() - own_elements_ : 0; }

  // What the model gets. Stands until Clear, or a request is answered.
  const std::vector<BatchInput>& Gather(const ModelSpec& spec);
  // The outputs of the whole as they belong to the requests, one after another:
  // parts of the same memory, but for those that were padded, which are copied.
  // INTERNAL when an output that is padded has not the batch's length, or has
  // other bytes than its shape says. Else the outputs have been checked.
  absl::Status Split(const ModelSpec& spec, const std::vector<OutputTensor>& outputs,
                     std::vector<std::vector<OutputTensor>>& answers) const;

 private:
  void GatherInput(const ModelSpec& spec, size_t index);
  void AddMade(const ModelSpec& spec, size_t index, const CheckedRequest& request);

  std::vector<Request*> requests_;
  int64_t rows_ = 0;
  int64_t length_ = 0;
  int64_t own_elements_ = 0;
  std::vector<BatchInput> inputs_;
  // Of inputs that requests left to the worker. Reserved before it is filled.
  std::vector<std::string> made_;
};

}  // namespace torchfleet::worker
