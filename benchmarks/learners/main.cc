// Trains learners and asks them for predictions, as it is told: learners_bench FOLDER THREADS CLOCK
//
// Reads names of cases, one a line, each with the name of other data behind it if it shall not be
// the case's own; answers each with a line of JSON: {"case", "train", "predict" (seconds),
// "quality"}. FOLDER holds the data (data.h). CLOCK is "wall", or "processors" for the
// seconds that all threads used. Without arguments it lists the cases.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

#include "benchmarks/learners/cases.h"
#include "benchmarks/learners/data.h"

namespace beamline::engine {
namespace {

// Of the clock on the wall, or of all processors together.
double Now(bool processors) {
  timespec time;
  clock_gettime(processors ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <typename Body>
double Seconds(bool processors, const Body& body) {
  const double start = Now(processors);
  body();
  return Now(processors) - start;
}

double MeanLoss(const Predictions& said) {
  double sum = 0;
  const auto losses = said.row_losses.values<float>();
  for (const float loss : losses) sum += static_cast<double>(loss);
  return sum / static_cast<double>(losses.size());
}

// Of what is said of the rows of `test`.
double QualityOf(Quality kind, const BatchSource& test, const Predictions& said, Learner* learner) {
  if (kind == Quality::kLoss) return learner->Evaluate(test).loss;
  if (kind == Quality::kReconstruction) return MeanLoss(said);
  const BatchLayout& layout = test.layout();
  std::vector<int64_t> all(static_cast<size_t>(test.rows()));
  std::vector<int32_t> labels(all.size()),
      codes(all.size() * static_cast<size_t>(layout.code_columns));
  std::vector<float> targets(all.size() * static_cast<size_t>(layout.targets));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  test.Gather(all, {.codes = codes.empty() ? nullptr : codes.data(),
                    .targets = targets.empty() ? nullptr : targets.data(),
                    .labels = layout.classes > 0 ? labels.data() : nullptr});
  const auto p = said.probabilities.values<float>();
  double sum = 0;
  if (kind == Quality::kError) {
    for (size_t i = 0; i < targets.size(); ++i) {
      sum += std::pow(static_cast<double>(p[i]) - static_cast<double>(targets[i]), 2);
    }
    return std::sqrt(sum / static_cast<double>(targets.size()));
  }
  if (kind == Quality::kAccuracy) {
    const auto classes = static_cast<size_t>(layout.classes);
    for (size_t i = 0; i < all.size(); ++i) {
      const float* row = p.data() + i * classes;
      sum += std::max_element(row, row + classes) - row == labels[i] ? 1 : 0;
    }
    return sum / static_cast<double>(all.size());
  }
  const auto width = static_cast<size_t>(layout.code_columns);
  const size_t vocabulary = p.size() / (all.size() * (width - 1));
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t at = 1; at < width; ++at) {
      const size_t place = (i * (width - 1) + at - 1) * vocabulary;
      sum -= std::log(static_cast<double>(p[place + static_cast<size_t>(codes[i * width + at])]));
    }
  }
  return sum / static_cast<double>(all.size() * (width - 1));
}

void Measure(const Case& one, const BenchData& data, int threads, bool processors) {
  const LearnerData given{.layout = data.training->layout(), .training = data.training.get()};
  std::unique_ptr<Learner> learner;
  const double train = Seconds(processors, [&] {
    learner = one.make(given, threads);
    StepReport report;
    while (learner->Step(&report)) {
    }
  });
  Predictions said;
  const double predict = Seconds(processors, [&] { said = learner->Predict(*data.test); });
  std::printf("{\"case\": \"%s\", \"train\": %.6f, \"predict\": %.6f, \"quality\": %.6g}\n",
              one.name.c_str(), train, predict,
              QualityOf(one.quality, *data.test, said, learner.get()));
  std::fflush(stdout);
}

int Run(const std::string& folder, int threads, bool processors) {
  std::map<std::string, BenchData> data;
  std::string line;
  while (std::getline(std::cin, line)) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const auto found = std::find_if(Cases().begin(), Cases().end(),
                                    [&](const Case& one) { return one.name == name; });
    if (found == Cases().end()) {
      std::fprintf(stderr, "there is no case %s\n", name.c_str());
      return 2;
    }
    const std::string set = space == std::string::npos ? found->data : line.substr(space + 1);
    BenchData& own = data[set + (found->unsupervised ? " rows" : "")];
    if (own.training == nullptr) {
      own = ReadBenchData(folder, set);
      if (found->unsupervised) {
        own = {WithoutTarget(*own.training), WithoutTarget(*own.test)};
      }
    }
    Measure(*found, own, threads, processors);
  }
  return 0;
}

}  // namespace
}  // namespace beamline::engine

int main(int argc, char** argv) {
  if (argc == 4) {
    return beamline::engine::Run(argv[1], std::atoi(argv[2]), argv[3] == std::string("processors"));
  }
  for (const auto& one : beamline::engine::Cases()) std::puts(one.name.c_str());
  return argc == 1 ? 0 : 2;
}
