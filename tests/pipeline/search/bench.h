// Searches written short, and an executor that ends their parts in any order.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "pipeline/search/search.h"

namespace beamline::pipeline::search {

// A search in protobuf's text format.
inline v1::Search Parse(const std::string& text) {
  v1::Search search;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &search)) << text;
  return search;
}

// An entry of `space`: In("lr", "log_uniform {min: 1e-4 max: 1}").
inline std::string In(const std::string& key, const std::string& space) {
  return " space {key: '" + key + "' value {" + space + "}}";
}

inline std::string Text(const Values& values) {
  std::string text;
  for (const auto& [key, value] : values) text += key + "=" + value.ShortDebugString() + " ";
  return text;
}

inline std::string Text(const Suggestion& s) {
  return std::to_string(s.number) + " " + std::to_string(s.after_epochs) + ".." +
         std::to_string(s.epochs) + " " + Text(s.values);
}

inline double NumberOf(const Values& values, const std::string& key) {
  return values.at(key).number_value();
}

// What a part comes to.
using Judge = std::function<Outcome(const Suggestion&)>;

inline Outcome Success(const Suggestion& s, double value) {
  return {s.number, s.epochs, s.values, Outcome::State::kSucceeded, value};
}
inline Outcome Failure(const Suggestion& s) {
  return {s.number, s.epochs, s.values, Outcome::State::kFailed, 0};
}

// Runs a search to its end, `parallel` parts at once, one after the other ending, which one
// `random` chooses. Everything that was suggested is in `suggested`, in the order in which it came.
inline std::vector<Outcome> RunAll(const Setting& setting, int parallel, std::mt19937& random,
                                   const Judge& judge,
                                   std::vector<Suggestion>* suggested = nullptr) {
  std::vector<Outcome> outcomes;
  std::vector<std::pair<size_t, Suggestion>> running;
  while (true) {
    const Plan plan = MakePlan(setting, outcomes, parallel - static_cast<int>(running.size()));
    for (const Suggestion& s : plan.due) {
      if (suggested) suggested->push_back(s);
      running.emplace_back(outcomes.size(), s);
      outcomes.push_back({s.number, s.epochs, s.values, Outcome::State::kUnknown, 0});
    }
    if (running.empty()) {
      EXPECT_TRUE(plan.complete);
      EXPECT_EQ(plan.planned, static_cast<int>(outcomes.size()));
      return outcomes;
    }
    EXPECT_FALSE(plan.complete);
    const size_t next = random() % running.size();
    outcomes[running[next].first] = judge(running[next].second);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(next));
  }
}

}  // namespace beamline::pipeline::search
