#include "pipeline/search/space.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "google/protobuf/util/message_differencer.h"
#include "pipeline/search/numbers.h"

namespace beamline::pipeline::search {

using google::protobuf::Value;

namespace {

// Beyond it not every whole number is a double.
constexpr double kMostValues = 0x1p53;

// Values from min to max in steps; a step that ends within rounding of max reaches it.
int64_t CountSteps(double min, double max, double step) {
  const double steps = std::floor((max - min) / step + 1e-9);
  return steps >= 0 ? static_cast<int64_t>(std::min(steps, kMostValues - 1)) + 1 : 1;
}

Value NumberValue(double number) {
  Value value;
  value.set_number_value(number);
  return value;
}

}  // namespace

bool SameValue(const Value& a, const Value& b) {
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

bool SameValues(const google::protobuf::ListValue& a, const google::protobuf::ListValue& b) {
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

Dimension::Dimension(std::string key, const v1::Space& space)
    : key_(std::move(key)), space_(&space) {
  const v1::Interval* interval = nullptr;
  switch (space.kind_case()) {
    case v1::Space::kUniform:
      interval = &space.uniform();
      scale_ = interval->step() > 0 ? Scale::kSteps : Scale::kLinear;
      break;
    case v1::Space::kLogUniform:
      interval = &space.log_uniform();
      scale_ = Scale::kLog;
      break;
    case v1::Space::kInteger:
      interval = &space.integer();
      scale_ = Scale::kSteps;
      break;
    case v1::Space::kLogInteger:
      interval = &space.log_integer();
      scale_ = Scale::kLogWhole;
      break;
    case v1::Space::kChoice:
    case v1::Space::KIND_NOT_SET:
      count_ = space.choice().values_size();
      return;
  }
  min_ = interval->min();
  max_ = interval->max();
  points_ = interval->points();
  step_ = interval->step();
  if (scale_ == Scale::kSteps) {
    count_ = CountSteps(min_, max_, step_ > 0 ? step_ : 1);
  } else if (scale_ == Scale::kLogWhole) {
    count_ = CountSteps(min_, max_, 1);
  }
}

double Dimension::Number(double unit) const {
  double number = min_;
  switch (scale_) {
    case Scale::kChoice:
      break;
    case Scale::kLinear:
      number = Tidy(std::fma(unit, max_, (1 - unit) * min_));
      break;
    case Scale::kLog:
      number = Tidy(Exp(std::fma(unit, Log(max_), (1 - unit) * Log(min_))));
      break;
    case Scale::kSteps: {
      const double n = static_cast<double>(count_);
      const double index = std::min(std::floor(unit * n), n - 1);
      number = Tidy(std::fma(index, step_ > 0 ? step_ : 1, min_));
      break;
    }
    case Scale::kLogWhole:
      number = std::floor(Exp(std::fma(unit, Log(max_ + 0.5), (1 - unit) * Log(min_ - 0.5))) + 0.5);
      break;
  }
  return std::clamp(number, min_, max_);
}

Value Dimension::ValueAt(double unit) const {
  if (scale_ != Scale::kChoice) return NumberValue(Number(unit));
  const auto& values = space_->choice().values();
  const int index = static_cast<int>(unit * values.size());
  return values[std::min(index, values.size() - 1)];
}

std::optional<Cell> Dimension::CellOf(const Value& value) const {
  const double n = static_cast<double>(count_);
  if (scale_ == Scale::kChoice) {
    const auto& values = space_->choice().values();
    for (int i = 0; i < values.size(); ++i) {
      if (SameValue(values[i], value)) return Cell{i / n, (i + 1) / n};
    }
    return std::nullopt;
  }
  if (value.kind_case() != Value::kNumberValue) return std::nullopt;
  const double x = std::clamp(value.number_value(), min_, max_);
  if (scale_ == Scale::kSteps) {
    const double i = std::floor((x - min_) / (step_ > 0 ? step_ : 1) + 0.5);
    return Cell{i / n, (i + 1) / n};
  }
  if (scale_ == Scale::kLogWhole) {
    const double low = Log(min_ - 0.5);
    const double width = Log(max_ + 0.5) - low;
    return Cell{(Log(x - 0.5) - low) / width, (Log(x + 0.5) - low) / width};
  }
  const double position = Position(x);
  return Cell{position, position};
}

std::optional<double> Dimension::NumberNear(double number, bool up) const {
  constexpr double kUp = 1.2;
  constexpr double kDown = 0.8;
  const double factor = up == (number > 0) ? kUp : kDown;
  double near = std::clamp(Tidy(number * factor), min_, max_);
  if (scale_ == Scale::kSteps || scale_ == Scale::kLogWhole) {
    const double step = step_ > 0 ? step_ : 1;
    const double last = static_cast<double>(count_ - 1);
    const double here = std::floor((number - min_) / step + 0.5);
    double there = std::floor((near - min_) / step + 0.5);
    if (there == here) there += up ? 1 : -1;
    near = std::min(max_, Tidy(std::fma(std::clamp(there, 0.0, last), step, min_)));
  }
  if (near == number) return std::nullopt;
  return near;
}

std::optional<Value> Dimension::Near(const Value& value, bool up) const {
  if (scale_ == Scale::kChoice) {
    const auto& values = space_->choice().values();
    for (int i = 0; i < values.size(); ++i) {
      if (!SameValue(values[i], value)) continue;
      const int there = (up && i + 1 < values.size()) || i == 0 ? i + 1 : i - 1;
      if (there >= values.size()) return std::nullopt;
      return values[there];
    }
    return std::nullopt;
  }
  if (value.kind_case() != Value::kNumberValue) return std::nullopt;
  std::optional<double> near = NumberNear(value.number_value(), up);
  if (!near.has_value()) near = NumberNear(value.number_value(), !up);
  if (!near.has_value()) return std::nullopt;
  return NumberValue(*near);
}

double Dimension::Position(double value) const {
  if (!(max_ > min_)) return 0.5;
  const double x = std::clamp(value, min_, max_);
  return log() ? Log(x / min_) / Log(max_ / min_) : (x - min_) / (max_ - min_);
}

std::vector<Value> Dimension::GridValues(int limit) const {
  std::vector<Value> values;
  const bool by_points = scale_ != Scale::kChoice && step_ <= 0 && (points_ > 0 || count_ == 0);
  if (!by_points) {
    const int64_t count = std::min<int64_t>(count_, limit);
    for (int64_t i = 0; i < count; ++i) {
      if (scale_ == Scale::kChoice) {
        values.push_back(space_->choice().values(static_cast<int>(i)));
      } else {
        const double step = step_ > 0 ? step_ : 1;
        values.push_back(
            NumberValue(std::min(max_, Tidy(std::fma(static_cast<double>(i), step, min_)))));
      }
    }
    return values;
  }
  const int points = std::max(2, points_);
  for (int i = 0; i < points && static_cast<int>(values.size()) < limit; ++i) {
    const double unit = static_cast<double>(i) / (points - 1);
    double x = log() ? Exp(std::fma(unit, Log(max_), (1 - unit) * Log(min_)))
                     : std::fma(unit, max_, (1 - unit) * min_);
    x = count_ > 0 ? std::floor(x + 0.5) : Tidy(x);
    x = std::clamp(x, min_, max_);
    // Whole numbers may be fewer than points.
    if (values.empty() || values.back().number_value() != x) values.push_back(NumberValue(x));
  }
  return values;
}

SearchSpace::SearchSpace(const v1::Search& search) {
  std::map<std::string, size_t> index;
  for (const auto& [key, space] : search.space()) index[key] = 0;
  for (auto& [key, at] : index) {
    at = dimensions_.size();
    dimensions_.emplace_back(key, search.space().at(key));
  }
  for (Dimension& dimension : dimensions_) {
    for (const auto& [key, values] : dimension.space_->when()) {
      const auto on = index.find(key);
      if (on != index.end()) dimension.conditions_.push_back({on->second, &values});
    }
  }
  std::vector<bool> placed(dimensions_.size(), false);
  const auto ready = [&](size_t d) {
    return !placed[d] &&
           std::all_of(dimensions_[d].conditions_.begin(), dimensions_[d].conditions_.end(),
                       [&](const auto& c) { return placed[c.on]; });
  };
  for (size_t round = 0; round < dimensions_.size(); ++round) {
    for (size_t d = 0; d < dimensions_.size(); ++d) {
      if (!ready(d)) continue;
      placed[d] = true;
      order_.push_back(d);
    }
  }
}

bool SearchSpace::Active(size_t d, const Values& values) const {
  for (const Dimension::Condition& condition : dimensions_[d].conditions()) {
    const auto held = values.find(dimensions_[condition.on].key());
    if (held == values.end()) return false;
    const auto& allowed = condition.values->values();
    const auto same = [&](const Value& value) { return SameValue(value, held->second); };
    if (std::none_of(allowed.begin(), allowed.end(), same)) return false;
  }
  return true;
}

Values SearchSpace::ValuesAt(const std::function<double(size_t)>& unit) const {
  Values values;
  for (const size_t d : order_) {
    if (Active(d, values)) values[dimensions_[d].key()] = dimensions_[d].ValueAt(unit(d));
  }
  return values;
}

}  // namespace beamline::pipeline::search
