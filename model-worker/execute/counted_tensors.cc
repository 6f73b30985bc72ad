#include "model-worker/execute/counted_tensors.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <new>
#include <utility>

namespace torchfleet::worker {
namespace {

MemoryBudget* budget_of_tensors = nullptr;

// The interpreter, which wraps what its operators throw, keeps the text.
class NoRoom : public std::bad_alloc {
 public:
  const char* what() const noexcept override { return "not enough memory within the limit"; }
};

void Free(void* memory) {
  if (!memory) return;
  budget_of_tensors->Give(malloc_usable_size(memory));
  c10::free_cpu(memory);
}

// As torch's own, which aligns to 64 bytes and to pages what is large, and counts.
class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &Free, c10::Device(c10::DeviceType::CPU)};
    if (!budget_of_tensors->Take(bytes)) throw NoRoom();
    void* memory = nullptr;
    try {
      memory = c10::alloc_cpu(bytes);
    } catch (...) {
      budget_of_tensors->Give(bytes);
      throw;
    }
    // By its true size, which is known again when it is freed.
    budget_of_tensors->Add(malloc_usable_size(memory) - bytes);
    return {memory, memory, &Free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

void CountTensors(std::shared_ptr<MemoryBudget> budget) {
  // Never freed: torch's own statics hold tensors until the process ends.
  static auto* const kept = new std::shared_ptr<MemoryBudget>(std::move(budget));
  static auto* const allocator = new CountingAllocator;
  budget_of_tensors = kept->get();
  c10::SetCPUAllocator(allocator);
}

}  // namespace torchfleet::worker
