// Which project goes first. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace beamline::scheduler {

struct Line;

// Who goes first, across projects.
enum class Class { kGuaranteed, kExpressFirst, kExpressSecond, kNormal };
inline constexpr size_t kClasses = 4;

// share / weight in 2^-62nds, rounded down. For shares up to 2^40 and weights up to 2^30 different
// fractions have different ratios, because they differ by more than 2^-60: it orders without loss.
__extension__ typedef unsigned __int128 Ratio;
inline Ratio RatioOf(int64_t share, int64_t weight) {
  return (static_cast<Ratio>(share) << 62) / static_cast<uint64_t>(weight);
}

// The lines of one shape and class, as a heap by what their projects hold (HoldsLess). Keeps the
// places of its lines in Line::places. Lines below one ancestor whose order among each other has
// changed have to leave, all of them, before one enters again. Not thread-safe; owns no lines.
class Contest {
 public:
  // `of`: the class.
  explicit Contest(size_t of) : of_(of) {}

  bool empty() const { return heap_.empty(); }
  Line& First();
  // Enters `line`, or, if it is in, moves it to where its project belongs by now. Needed only if
  // that holds less than before.
  void Enter(Line& line);
  // No-op if it is not in.
  void Leave(Line& line);

 private:
  // What is compared first: that of the project's highest ancestor when the line was entered, or
  // less.
  struct Entry {
    Ratio ratio;
    uint64_t name;
    Line* line;
  };

  static Entry EntryOf(Line& line);
  static bool Less(const Entry& a, const Entry& b);
  void Put(size_t at, const Entry& entry);
  void Rise(size_t at, const Entry& entry);
  void Sink(size_t at, const Entry& entry);

  const size_t of_;
  std::vector<Entry> heap_;
};

}  // namespace beamline::scheduler
