#include "trainer/train/progress_display.h"

#include <fmt/format.h>

#include <cstdio>

namespace torchfleet::trainer {
namespace {

using Clock = std::chrono::steady_clock;

std::string Bar(double fraction) {
  constexpr int kWidth = 24;
  const int full = static_cast<int>(fraction * kWidth);
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < full ? "█" : "░";
  return bar;
}

void Put(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

std::string EpochLine(const EpochResult& epoch, uint32_t epochs, bool accuracy) {
  std::string line = fmt::format("epoch {}/{}  loss {:.4f}", epoch.epoch, epochs, epoch.train_loss);
  if (accuracy) line += fmt::format("  accuracy {:.2f} %", 100 * epoch.train_accuracy);
  line += fmt::format("  test loss {:.4f}", epoch.test_loss);
  if (accuracy) line += fmt::format("  test accuracy {:.2f} %", 100 * epoch.test_accuracy);
  return line + fmt::format("  {:.1f} s", epoch.seconds);
}

ProgressDisplay::ProgressDisplay(const TrainSpec& spec, bool terminal)
    : epochs_(spec.epochs),
      accuracy_(spec.loss == LossKind::kSparseCrossEntropy),
      terminal_(terminal),
      begun_(Clock::now()) {}

void ProgressDisplay::OnStep(const EpochResult& so_far, double fraction) {
  const auto now = Clock::now();
  const double done = (so_far.epoch - 1 + fraction) / epochs_;
  if (done_before_ < 0) done_before_ = done;
  if (!terminal_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  std::string line = fmt::format("\r\033[Kepoch {}/{} {} {:3.0f} %  loss {:.4f}", so_far.epoch,
                                 epochs_, Bar(fraction), 100 * fraction, so_far.train_loss);
  if (accuracy_) line += fmt::format("  accuracy {:.2f} %", 100 * so_far.train_accuracy);
  if (done > done_before_) {
    const double spent = std::chrono::duration<double>(now - begun_).count();
    line += fmt::format("  {:.0f} s left", spent * (1 - done) / (done - done_before_));
  }
  Put(line);
}

void ProgressDisplay::OnEpoch(const EpochResult& epoch) {
  Put((terminal_ ? "\r\033[K" : "") + EpochLine(epoch, epochs_, accuracy_) + "\n");
}

}  // namespace torchfleet::trainer
