// A server and a worker of the tests of searches. The worker does not train: what a trial reports
// is a function of its values.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "store/datasets.h"
#include "store/store.h"
#include "tests/server/played.h"

namespace beamline::server {
inline constexpr char kTail[] = R"(
  - name: release
    publish: {model: fit, name: tiny}
)";
inline constexpr char kSpace[] =
    "{train.network.optimizer.sgd.learning_rate: {log_uniform: {min: 0.001, max: 1}}}";

inline double RateOf(const v1::Attempt& attempt) {
  return attempt.definition().steps(0).train().network().optimizer().sgd().learning_rate();
}

// Smaller is better; best at a rate of 0.03.
inline double LossOf(const v1::Attempt& attempt) {
  const double distance = std::log10(RateOf(attempt) / 0.03);
  const double epochs = attempt.trial().epochs() > 0 ? attempt.trial().epochs() : 9;
  return distance * distance + 1 / epochs + 0.01 * attempt.trial().fold();
}

class SearchTest : public PlayedTest {
 protected:
  v1::Run Create(const std::string& repetition) {
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    // Played anew each time.
    request.set_fresh(true);
    request.mutable_source()->set_yaml(absl::StrCat(kHead, repetition, kTail));
    (*request.mutable_inputs())["points"] = Upload("optics", kCsv);
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? *run : v1::Run();
  }

  // An artifact whose bytes say what it is.
  void Add(const v1::Attempt& attempt, const std::string& what, v1::TaskResult& result) {
    const auto blob =
        worker_->WriteBlob(*server_, attempt, absl::StrCat(what, " of rate ", RateOf(attempt)));
    ASSERT_TRUE(blob.ok()) << blob.status();
    (*result.mutable_artifacts())[what] = *blob;
  }

  // As a task process would: a model of a whole training, a state of a part of one.
  v1::AttemptReport Trained(const v1::Attempt& attempt) override {
    v1::AttemptReport end = FakeWorker::Success(1);
    v1::TaskResult& result = *end.mutable_result()->mutable_result();
    if (attempt.step() != "fit") return end;
    (*result.mutable_metrics())["validation_loss"] = LossOf(attempt);
    result.set_seconds(2);
    if (attempt.trial().fold() > 0) Add(attempt, "predictions", result);
    if (attempt.trial().fold() > 0 && attempt.trial().epochs() == 0) return end;
    for (const auto& [key, blob] : attempt.inputs()) {
      if (!key.ends_with("/predictions") || result.has_out_of_fold()) continue;
      Add(attempt, "out_of_fold", result);
      Add(attempt, "out_of_fold_table", result);
      result.mutable_out_of_fold()->set_row_count(10);
    }
    Add(attempt,
        attempt.task().ends_with("/fit") || attempt.trial().epochs() == 0 ? "model" : "checkpoint",
        result);
    end.mutable_result()->mutable_card()->set_target("y");
    return end;
  }

  v1::ListTrialsResponse Trials(const std::string& run) {
    v1::ListTrialsRequest request;
    request.set_parent(run);
    const auto trials = Call(server_->runs(), &RunApi::ListTrials, User("ada"), request);
    EXPECT_TRUE(trials.ok()) << trials.status();
    return trials.ok() ? *trials : v1::ListTrialsResponse();
  }

  // Number of each trial -> its value and rate.
  std::map<int, std::pair<double, double>> Values(const std::string& run) {
    std::map<int, std::pair<double, double>> values;
    const v1::ListTrialsResponse trials = Trials(run);
    for (const v1::TrialSummary& trial : trials.trials()) {
      values[trial.number()] = {trial.value(), trial.parameters().begin()->second.number_value()};
    }
    return values;
  }

  // Whether the project still refers to a blob of these bytes. Stops the server.
  bool Keeps(const std::string& bytes) {
    server_.reset();
    const auto opened = store::Store::Open(Options().state_folder + "/beamline.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    const auto kept = store::HasBlobReference((*opened)->writer(), "optics", Sha256Hex(bytes));
    EXPECT_TRUE(kept.ok()) << kept.status();
    return kept.ok() && *kept;
  }
};

}  // namespace beamline::server
