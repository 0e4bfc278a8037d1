// The space of a search: its keys, when each is part of it, and what values each may have.
//
// Every key has a scale, the unit interval: a number of it stands for a value, and a value for the
// cell of all numbers that stand for it. Random and Sobol draws are numbers; estimators work on the
// scale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/search.pb.h"
#include "pipeline/search/search.h"

namespace beamline::pipeline::search {

// The numbers of the unit interval that stand for a value. low == high where any value may be.
struct Cell {
  double low = 0;
  double high = 0;
  double Middle() const { return (low + high) / 2; }
};

// One key. A value type; `space` belongs to the definition, which outlives it.
class Dimension {
 public:
  struct Condition {
    size_t on = 0;  // index of a dimension
    const google::protobuf::ListValue* values = nullptr;
  };

  Dimension(std::string key, const v1::Space& space);

  const std::string& key() const { return key_; }
  bool choice() const { return scale_ == Scale::kChoice; }
  bool log() const { return scale_ == Scale::kLog || scale_ == Scale::kLogWhole; }
  // Values that it may have; 0: any of an interval.
  int64_t count() const { return count_; }
  const std::vector<Condition>& conditions() const { return conditions_; }

  // unit: in [0, 1).
  google::protobuf::Value ValueAt(double unit) const;
  // Nothing if `value` is of another type, or not one of the choices.
  std::optional<Cell> CellOf(const google::protobuf::Value& value) const;
  // A value near `value`, which is not the same if there is any such: of a list of choices a
  // neighbour, else 0.8 times as much or, with `up`, 1.2 times. Where there is nothing on that side
  // it is on the other. Nothing if `value` is not one of this dimension's, or nothing is near it.
  std::optional<google::protobuf::Value> Near(const google::protobuf::Value& value, bool up) const;
  // Where a number lies between min (0) and max (1) on the scale.
  double Position(double value) const;
  // The values that a grid visits, `limit` at most.
  std::vector<google::protobuf::Value> GridValues(int limit) const;

 private:
  friend class SearchSpace;
  enum class Scale { kChoice, kLinear, kLog, kSteps, kLogWhole };

  double Number(double unit) const;
  std::optional<double> NumberNear(double number, bool up) const;

  std::string key_;
  const v1::Space* space_;
  Scale scale_ = Scale::kChoice;
  double min_ = 0;
  double max_ = 0;
  double step_ = 0;
  int points_ = 0;
  int64_t count_ = 0;
  std::vector<Condition> conditions_;
};

class SearchSpace {
 public:
  // `search` has passed validation and outlives it.
  explicit SearchSpace(const v1::Search& search);

  // By key, ascending.
  const std::vector<Dimension>& dimensions() const { return dimensions_; }
  // Indices of dimensions, each after those that its conditions name.
  const std::vector<size_t>& order() const { return order_; }

  // Whether the conditions of dimension `d` hold. `values` must hold those that they name.
  bool Active(size_t d, const Values& values) const;
  // The values of the keys that are part of it, where `unit` gives each its place on its scale.
  Values ValuesAt(const std::function<double(size_t)>& unit) const;

 private:
  std::vector<Dimension> dimensions_;
  std::vector<size_t> order_;
};

bool SameValue(const google::protobuf::Value& a, const google::protobuf::Value& b);
bool SameValues(const google::protobuf::ListValue& a, const google::protobuf::ListValue& b);

}  // namespace beamline::pipeline::search
