#pragma once
// Data and specs small enough to train on in a test.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainer/data/dataset.h"
#include "trainer/spec/train_spec.h"

namespace torchfleet::trainer {

// Points of three classes that lie apart, as records of `size` values: class c
// has 1 at every place that is c modulo 3, everything else is noise around 0.
inline Dataset ThreeClasses(size_t records, size_t size) {
  Dataset data;
  data.records = records;
  data.input_size = size;
  data.target_size = 1;
  uint32_t state = 1;
  for (size_t record = 0; record < records; ++record) {
    const size_t label = record % 3;
    for (size_t i = 0; i < size; ++i) {
      state = state * 1664525 + 1013904223;  // Numerical Recipes
      const float noise = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F;
      data.inputs.push_back(0.4F * noise + (i % 3 == label ? 1.0F : 0.0F));
    }
    data.targets.push_back(static_cast<float>(label));
  }
  return data;
}

inline LayerSpec Layer(LayerSpec::Kind kind, int64_t units = 0) {
  return {.kind = kind, .units = units};
}

inline OptimizerSpec Optimizer(OptimizerSpec::Kind kind, double rate, double momentum = 0,
                               double weight_decay = 0) {
  OptimizerSpec optimizer;
  optimizer.kind = kind;
  optimizer.learning_rate = rate;
  optimizer.momentum = momentum;
  optimizer.weight_decay = weight_decay;
  return optimizer;
}

// A network of two dense layers that tells the three classes.
inline TrainSpec SmallSpec() {
  using Kind = LayerSpec::Kind;
  TrainSpec spec;
  spec.model = "small";
  spec.input_shape = {6};
  spec.layers = {Layer(Kind::kDense, 8), Layer(Kind::kRelu), Layer(Kind::kDense, 3),
                 Layer(Kind::kSoftmax)};
  spec.optimizer = Optimizer(OptimizerSpec::Kind::kAdam, 0.02);
  spec.epochs = 4;
  spec.batch_size = 16;
  spec.seed = 3;
  spec.input_name = "input";
  spec.output_name = "output";
  spec.text = "the spec's text";
  return spec;
}

}  // namespace torchfleet::trainer
