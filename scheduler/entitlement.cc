#include "scheduler/entitlement.h"

#include <algorithm>
#include <limits>

namespace beamline::scheduler {
namespace {

constexpr size_t kDimensions = Amounts::kDimensions;
// The water level is in parts of 10^9 for a weight of 1, in 2^20ths.
constexpr int64_t kFine = int64_t{1} << 20;
__extension__ typedef __int128 Wide;
using Capacity4 = std::array<int64_t, kDimensions>;

int64_t LevelFor(int64_t share, int64_t weight) {
  return static_cast<int64_t>(static_cast<Wide>(share) * kFine / weight);
}

// The part of dimension `r` that goes with `share` of the dominant one.
int64_t Part(const Claim& claim, int64_t share, size_t r) {
  if (claim.dominant == 0) return 0;
  return static_cast<int64_t>(static_cast<Wide>(claim.shares[r]) * share / claim.dominant);
}

struct Turn {
  int64_t level;
  size_t claim;
  bool begins;
};

// The claims that rise, between their floor and their goal.
class Filler {
 public:
  Filler(std::vector<Claim>& claims, const Capacity4& capacity)
      : claims_(claims), left_(capacity), rises_(claims.size()), frozen_(claims.size()) {}

  void Run() {
    std::vector<Turn> turns;
    for (size_t i = 0; i < claims_.size(); ++i) {
      Claim& claim = claims_[i];
      claim.result = claim.floor;
      for (size_t r = 0; r < kDimensions; ++r) left_[r] -= Part(claim, claim.floor, r);
      if (claim.goal <= claim.floor) continue;
      turns.push_back({LevelFor(claim.floor, claim.weight), i, true});
      turns.push_back({LevelFor(claim.goal, claim.weight), i, false});
    }
    std::sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) {
      if (a.level != b.level) return a.level < b.level;
      return a.begins != b.begins ? a.begins : a.claim < b.claim;
    });
    FreezeAt(0, UsedUp());
    for (const Turn& turn : turns) {
      RiseTo(turn.level);
      if (frozen_[turn.claim]) continue;
      if (turn.begins) {
        SetRising(turn.claim, true);
      } else {
        claims_[turn.claim].result = claims_[turn.claim].goal;
        SetRising(turn.claim, false);
        frozen_[turn.claim] = true;
      }
    }
  }

 private:
  void SetRising(size_t i, bool rises) {
    rises_[i] = rises;
    for (size_t r = 0; r < kDimensions; ++r) {
      const int64_t part = Part(claims_[i], claims_[i].weight, r);
      slope_[r] += rises ? part : -part;
    }
  }

  std::array<bool, kDimensions> UsedUp() const {
    std::array<bool, kDimensions> used{};
    for (size_t r = 0; r < kDimensions; ++r) used[r] = left_[r] <= 0;
    return used;
  }

  // Those that need what is used up get no more.
  void FreezeAt(int64_t level, const std::array<bool, kDimensions>& used) {
    for (size_t i = 0; i < claims_.size(); ++i) {
      if (frozen_[i]) continue;
      for (size_t r = 0; r < kDimensions && !frozen_[i]; ++r) {
        frozen_[i] = used[r] && claims_[i].shares[r] > 0;
      }
      if (!frozen_[i] || !rises_[i]) continue;
      SetRising(i, false);
      claims_[i].result =
          std::min(claims_[i].goal,
                   static_cast<int64_t>(static_cast<Wide>(level) * claims_[i].weight / kFine));
    }
  }

  void RiseTo(int64_t level) {
    while (level_ < level) {
      int64_t next = level;
      for (size_t r = 0; r < kDimensions; ++r) {
        if (slope_[r] <= 0) continue;
        const Wide room = static_cast<Wide>(std::max<int64_t>(left_[r], 0)) * kFine / slope_[r];
        if (room < next - level_) next = level_ + static_cast<int64_t>(room);
      }
      const bool full = next < level;
      std::array<bool, kDimensions> used{};
      for (size_t r = 0; r < kDimensions; ++r) {
        if (slope_[r] <= 0) continue;
        const Wide room = static_cast<Wide>(std::max<int64_t>(left_[r], 0)) * kFine / slope_[r];
        used[r] = full && room <= next - level_;
        left_[r] -= static_cast<int64_t>(static_cast<Wide>(slope_[r]) * (next - level_) / kFine);
      }
      level_ = next;
      if (full) FreezeAt(level_, used);
    }
  }

  std::vector<Claim>& claims_;
  Capacity4 left_;
  Capacity4 slope_{};
  std::vector<bool> rises_;
  std::vector<bool> frozen_;
  int64_t level_ = 0;
};

// Own tasks only.
Amounts OwnDemand(const Project& project) {
  Amounts sum;
  for (const BandSums& sums : project.bands) {
    sum = sum + sums.running_amounts + sums.waiting_amounts;
  }
  return sum;
}

// What a project asks for of one kind, with its children.
struct Asks {
  Amounts all;
  Amounts first;   // express level 0
  Amounts second;  // express level 1
};

Asks AsksOf(const TaskQueue& queue, Project& project) {
  Asks asks;
  for (const BandSums& sums : project.bands) {
    const Band& band = sums.band;
    const Amounts amounts = sums.running_amounts + sums.waiting_amounts;
    asks.all = asks.all + amounts;
    if (!project.express || band.guarded || band.level >= queue.express_levels()) continue;
    Amounts& express = band.level == 0 ? asks.first : asks.second;
    express = express + amounts;
  }
  for (const auto& [id, child] : project.children) {
    const Asks more = AsksOf(queue, *child);
    asks.all = asks.all + more.all;
    asks.first = asks.first + more.first;
    asks.second = asks.second + more.second;
  }
  project.demand = asks.all;
  project.demand_share = DominantShare(asks.all, queue.total());
  return asks;
}

int64_t CapShare(const Project& project, const Amounts& total) {
  int64_t share = std::numeric_limits<int64_t>::max();
  for (size_t r = 0; r < kDimensions; ++r) {
    if (project.cap.of[r] >= 0) share = std::min(share, ShareOf(project.cap, total, r));
  }
  return share;
}

void Fill(const TaskQueue& queue, const std::vector<Project*>& equals, const Capacity4& capacity) {
  const Amounts& total = queue.total();
  std::vector<Claim> claims(equals.size());
  std::vector<std::array<int64_t, 4>> goals(equals.size());
  for (size_t i = 0; i < equals.size(); ++i) {
    Project& project = *equals[i];
    const Asks asks = AsksOf(queue, project);
    Claim& claim = claims[i];
    for (size_t r = 0; r < kDimensions; ++r) claim.shares[r] = ShareOf(asks.all, total, r);
    claim.dominant = project.demand_share;
    claim.weight = project.weight_millis;
    const int64_t most = std::min(claim.dominant, CapShare(project, total));
    const int64_t guaranteed = DominantShare(project.guaranteed, total);
    const int64_t first = DominantShare(asks.first, total);
    // Tasks of the second level count for half: in full they would cost long-running projects more
    // than their owners gain.
    const int64_t both = (first + DominantShare(asks.first + asks.second, total)) / 2;
    goals[i] = {std::min(most, guaranteed), std::min(most, std::max(guaranteed, first)),
                std::min(most, std::max({guaranteed, first, both})), most};
  }
  for (size_t phase = 0; phase < 4; ++phase) {
    bool changes = false;
    for (size_t i = 0; i < equals.size(); ++i) {
      claims[i].floor = claims[i].result;
      claims[i].goal = std::max(claims[i].floor, goals[i][phase]);
      changes |= claims[i].goal > claims[i].floor;
    }
    if (changes) WaterFill(claims, capacity);
  }
  for (size_t i = 0; i < equals.size(); ++i) {
    Project& project = *equals[i];
    project.entitled = claims[i].result;
    if (project.children.empty()) continue;
    const int64_t own = std::min(DominantShare(OwnDemand(project), total), project.entitled);
    Capacity4 inside{};
    for (size_t r = 0; r < kDimensions; ++r) inside[r] = Part(claims[i], project.entitled - own, r);
    std::vector<Project*> children;
    for (const auto& [id, child] : project.children) children.push_back(child);
    Fill(queue, children, inside);
    project.entitled = own;
  }
}

}  // namespace

void WaterFill(std::vector<Claim>& claims, const Capacity4& capacity) {
  Capacity4 asked{};
  for (const Claim& claim : claims) {
    for (size_t r = 0; r < kDimensions; ++r) asked[r] += Part(claim, claim.goal, r);
  }
  bool fits = true;
  for (size_t r = 0; r < kDimensions; ++r) fits &= asked[r] <= capacity[r];
  if (fits) {
    for (Claim& claim : claims) claim.result = claim.goal;
    return;
  }
  Filler(claims, capacity).Run();
}

void ComputeEntitlements(const TaskQueue& queue, const std::vector<Project*>& top) {
  Capacity4 whole{};
  whole.fill(kWhole);
  Fill(queue, top, whole);
}

}  // namespace beamline::scheduler
