#pragma once
// Models without torch, each with one behaviour, chosen by the parameter `fake`
// in config.pbtxt:
//
//   echo         each output is the input of the same place (the default)
//   delay        echo after `delay_ms`; each `slow_every`th batch, if that is set,
//                after `slow_factor` times as long
//   throw        throws std::runtime_error
//   bad_alloc    throws std::bad_alloc
//   poison       throws std::runtime_error when an input contains "poison", and
//                std::bad_alloc when one contains "hunger"; else echo
//   wrong_shape  echo with one dimension too many
//   wrong        echo, but each third batch comes out with other bytes
//   crash        aborts the process when the first input contains "crash"

#include <memory>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"
#include "model-worker/load/model_file.h"

namespace torchfleet::worker {

// FAILED_PRECONDITION for an unknown behaviour.
absl::StatusOr<std::unique_ptr<Model>> MakeFakeModel(const ModelSpec& spec);

// A ModelLoader. A behaviour in the file goes before the parameter, so that versions
// can differ. FAILED_PRECONDITION as above, and when the file's content is "corrupt".
absl::StatusOr<std::unique_ptr<Model>> LoadFakeModel(const ModelFile& file, const ModelSpec& spec);

}  // namespace torchfleet::worker
