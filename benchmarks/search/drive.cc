// Drives a search from outside: writes each choice of values as a line of JSON, reads a line with
// its result, and in the end writes how long the suggestions took.
//
//   search_drive SEARCH SEED PARALLEL
//
// SEARCH is a v1.Search in protobuf's text format; less is better. PARALLEL trials are open at
// once; the one that was suggested first ends first.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "pipeline/search/search.h"

namespace search = beamline::pipeline::search;

namespace {

std::string Json(const search::Values& values) {
  google::protobuf::Struct fields;
  for (const auto& [key, value] : values) (*fields.mutable_fields())[key] = value;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(fields, &json).ok()) std::abort();
  return json;
}

int Drive(const search::Setting& setting, int parallel) {
  std::vector<search::Outcome> outcomes;
  size_t ended = 0;
  double seconds = 0;
  while (true) {
    const int room = parallel - static_cast<int>(outcomes.size() - ended);
    const auto start = std::chrono::steady_clock::now();
    const search::Plan plan = search::MakePlan(setting, outcomes, room);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (const search::Suggestion& s : plan.due) {
      outcomes.push_back({s.number, s.epochs, s.values});
    }
    if (ended == outcomes.size()) break;
    search::Outcome& outcome = outcomes[ended++];
    std::cout << Json(outcome.values) << std::endl;
    if (!(std::cin >> outcome.value)) return 1;
    outcome.state = search::Outcome::State::kSucceeded;
  }
  std::cout << "{\"seconds\": " << seconds << ", \"trials\": " << outcomes.size() << "}"
            << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  beamline::v1::Search definition;
  if (argc != 4 || !google::protobuf::TextFormat::ParseFromString(argv[1], &definition)) {
    std::fprintf(stderr, "usage: search_drive SEARCH SEED PARALLEL\n");
    return 2;
  }
  return Drive({definition, 1, false, std::strtoull(argv[2], nullptr, 10)}, std::atoi(argv[3]));
}
