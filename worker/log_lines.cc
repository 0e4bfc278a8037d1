#include "worker/log_lines.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"

namespace beamline::worker {
namespace {

// Length of the valid UTF-8 sequence at the start of `text` (RFC 3629); 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || text.size() < length) return 0;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

}  // namespace

std::string CleanText(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) {
      clean += "\xef\xbf\xbd";
    } else if (length > 1 || (text[0] >= ' ' && text[0] != 0x7f) || text[0] == '\t') {
      clean += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return clean;
}

std::vector<std::string> LineSplitter::Append(std::string_view bytes) {
  std::vector<std::string> lines;
  // A replaced byte takes three: a third of the limit leaves room for that.
  constexpr size_t kCut = kMaxLineBytes / 3;
  for (const char c : bytes) {
    if (c != '\n') partial_.push_back(c);
    if (c == '\n' || partial_.size() >= kCut) {
      lines.push_back(CleanText(partial_));
      partial_.clear();
    }
  }
  return lines;
}

std::vector<std::string> LineSplitter::Finish() {
  if (partial_.empty()) return {};
  std::vector<std::string> lines = {CleanText(partial_)};
  partial_.clear();
  return lines;
}

LogBudget::LogBudget(Limits limits)
    : limits_(limits),
      line_millis_(limits.burst_lines * 1000),
      byte_millis_(limits.burst_bytes * 1000) {}

bool LogBudget::Take(size_t bytes, int64_t now_ms) {
  if (last_ms_ >= 0) {
    const int64_t elapsed_ms = std::clamp<int64_t>(now_ms - last_ms_, 0, 3'600'000);
    line_millis_ =
        std::min(limits_.burst_lines * 1000, line_millis_ + elapsed_ms * limits_.lines_per_second);
    byte_millis_ =
        std::min(limits_.burst_bytes * 1000, byte_millis_ + elapsed_ms * limits_.bytes_per_second);
  }
  last_ms_ = now_ms;
  const int64_t cost = static_cast<int64_t>(bytes) * 1000;
  if (line_millis_ < 1000 || byte_millis_ < cost) {
    ++dropped_;
    return false;
  }
  line_millis_ -= 1000;
  byte_millis_ -= cost;
  return true;
}

int64_t LogBudget::TakeDropped() { return std::exchange(dropped_, 0); }

void LastLines::Add(std::string_view line) {
  if (line.empty()) return;
  constexpr size_t kLines = 5;
  constexpr size_t kBytes = 300;
  lines_.push_back(CleanText(line.substr(0, kBytes)));
  if (lines_.size() > kLines) lines_.pop_front();
}

std::string LastLines::Text() const { return absl::StrJoin(lines_, " | "); }

}  // namespace beamline::worker
