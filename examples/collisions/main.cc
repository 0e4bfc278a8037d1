// beamline_collisions: writes simulated collision events as CSV, and says how well anyone could
// tell signal from background. See README.md.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/edit_distance.h"
#include "examples/collisions/auc.h"
#include "examples/collisions/likelihood.h"
#include "examples/collisions/model.h"

namespace beamline::collisions {
namespace {

enum ExitCode { kOk = 0, kFailed = 1, kUsage = 2 };

constexpr char kHelp[] =
    R"(usage: beamline_collisions --output FILE [options]

Writes simulated collision events: a resonance that decays to two particles, against a falling
background, as a detector would measure them.

  --output FILE          where to write the CSV
  --events N             events to write, 1 to 100000000 (50000)
  --seed S               the same seed gives the same bytes (1)
  --mass M --width G     of the resonance, in GeV (400, 20)
  --spin 0|1             decay isotropic, or as 1 + cos^2 theta (1)
  --truth                add what is not measurable: true_mass, true_pt, true_rapidity,
                         true_cos_theta, and the optimal score. Never train on these
  --optimum-events N     events of the sample from which the best possible AUC is computed; 0: do
                         not (at most 20000)
  --help                 this text
)";

struct Request {
  std::string output;
  uint64_t events = 50'000;
  uint64_t seed = 1;
  uint64_t optimum_events = 20'000;
  bool truth = false;
  bool help = false;
  Parameters parameters;
};

template <class Number>
bool Parse(std::string_view text, Number low, Number high, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= low &&
         number <= high;
}

// Empty: understood.
std::string ParseOption(const std::string& name, const std::string& value, Request& request) {
  bool good = true;
  if (name == "--output") {
    request.output = value;
    good = !value.empty();
  } else if (name == "--events") {
    good = Parse<uint64_t>(value, 1, 100'000'000, request.events);
  } else if (name == "--seed") {
    good = Parse<uint64_t>(value, 0, UINT64_MAX, request.seed);
  } else if (name == "--optimum-events") {
    good = Parse<uint64_t>(value, 0, 100'000'000, request.optimum_events);
  } else if (name == "--mass") {
    good = Parse(value, 1.0, 1e5, request.parameters.mass);
  } else if (name == "--width") {
    good = Parse(value, 1e-3, 1e5, request.parameters.width);
  } else if (name == "--spin") {
    good = Parse(value, 0, 1, request.parameters.spin);
  }
  return good ? "" : name + " " + value + ": out of range or not a number; see --help";
}

std::string ParseArguments(const std::vector<std::string>& arguments, Request& request) {
  const std::vector<std::string> with_value = {"--output", "--events", "--seed",          "--mass",
                                               "--width",  "--spin",   "--optimum-events"};
  std::vector<std::string> all = with_value;
  all.insert(all.end(), {"--truth", "--help"});
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--truth") {
      request.truth = true;
    } else if (name == "--help") {
      request.help = true;
      return "";
    } else if (std::find(with_value.begin(), with_value.end(), name) == with_value.end()) {
      const std::string near = DidYouMean(name, all);
      return "unknown option " + name + (near.empty() ? "" : ": did you mean " + near + "?");
    } else if (i + 1 == arguments.size()) {
      return name + " needs a value";
    } else {
      const std::string wrong = ParseOption(name, arguments[++i], request);
      if (!wrong.empty()) return wrong;
    }
  }
  if (request.output.empty()) return "--output is missing: say where to write the events";
  return request.parameters.Check();
}

void Append(std::string& line, double value, int digits) {
  char text[64];
  const auto result =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits);
  line.append(text, result.ptr);
  line.push_back(',');
}

// What one pass over the sample finds out.
struct Totals {
  uint64_t events[2] = {0, 0};
  double raw_weight[2] = {0.0, 0.0};
};

Totals Count(const Request& request) {
  Totals totals;
  for (uint64_t i = 0; i < request.events; ++i) {
    const CollisionEvent event = Generate(request.parameters, request.seed, i);
    ++totals.events[event.is_signal];
    totals.raw_weight[event.is_signal] += event.raw_weight;
  }
  return totals;
}

// The factor that makes a class's weights add up to its expected number of events.
double Scale(const Parameters& parameters, const Totals& totals, bool is_signal) {
  const double expected =
      parameters.luminosity_per_fb *
      (is_signal ? parameters.signal_cross_section_fb : parameters.background_cross_section_fb);
  return totals.events[is_signal] == 0 ? 0.0 : expected / totals.raw_weight[is_signal];
}

std::string Row(const CollisionEvent& event, double weight) {
  std::string line;
  for (const Particle& particle : event.measured) {
    Append(line, particle.pt(), 3);
    Append(line, particle.eta, 5);
    Append(line, particle.phi, 5);
    Append(line, particle.e, 3);
  }
  Append(line, weight, 6);
  line.push_back(event.is_signal ? '1' : '0');
  return line;
}

bool WriteSample(const Request& request, const Totals& totals, std::vector<Scored>& scored) {
  std::ofstream file(request.output, std::ios::binary);
  file << "pt_1,eta_1,phi_1,e_1,pt_2,eta_2,phi_2,e_2,weight,is_signal";
  if (request.truth) {
    file << ",true_mass,true_pt,true_rapidity,true_cos_theta,optimal_score";
  }
  file << '\n';
  const LikelihoodModel likelihood(request.parameters);
  for (uint64_t i = 0; i < request.events && file; ++i) {
    const CollisionEvent event = Generate(request.parameters, request.seed, i);
    const double weight = event.raw_weight * Scale(request.parameters, totals, event.is_signal);
    std::string line = Row(event, weight);
    double score = 0.0;
    if (request.truth || i < request.optimum_events) {
      score = likelihood.Of(event.measured).score();
      if (i < request.optimum_events) scored.push_back({score, weight, event.is_signal});
    }
    if (request.truth) {
      line.push_back(',');
      for (const double value :
           {event.truth.mass, event.truth.pt, event.truth.rapidity, event.truth.cos_theta, score}) {
        Append(line, value, 6);
      }
      line.pop_back();
    }
    line.push_back('\n');
    file << line;
  }
  file.close();
  return !file.fail();
}

int Main(const std::vector<std::string>& arguments) {
  Request request;
  if (const std::string wrong = ParseArguments(arguments, request); !wrong.empty()) {
    std::cerr << "beamline_collisions: " << wrong << "\n";
    return kUsage;
  }
  if (request.help) {
    std::cout << kHelp;
    return kOk;
  }
  const Totals totals = Count(request);
  std::vector<Scored> scored;
  if (!WriteSample(request, totals, scored)) {
    std::cerr << "beamline_collisions: cannot write " << request.output
              << ": check that the folder is there, writable and not full\n";
    return kFailed;
  }
  std::printf("wrote %llu events to %s: %llu signal, %llu background\n",
              static_cast<unsigned long long>(request.events), request.output.c_str(),
              static_cast<unsigned long long>(totals.events[1]),
              static_cast<unsigned long long>(totals.events[0]));
  const auto has = [&](bool is_signal) {
    return std::any_of(scored.begin(), scored.end(),
                       [&](const Scored& event) { return event.is_signal == is_signal; });
  };
  if (has(true) && has(false)) {
    const Auc auc = WeightedAuc(scored);
    std::printf(
        "best possible AUC %.4f +- %.4f (weighted; likelihood ratio of the model, %zu events)\n",
        auc.value, auc.standard_error, scored.size());
  }
  return kOk;
}

}  // namespace
}  // namespace beamline::collisions

int main(int argc, char** argv) {
  return beamline::collisions::Main(std::vector<std::string>(argv + 1, argv + argc));
}
