// Plays worlds from seeds, each in a process of its own, and says which guarantees held.
//
//   beamline_sim --seeds 1-200 [--file SEEDS] [--jobs N]    many, with those of the file before
//   them beamline_sim --seed N [--trace]                         one, the same to the last event
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "base/log.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

namespace beamline::sim {
namespace {

// A world that takes longer hangs. Unit: seconds.
constexpr unsigned kHangSeconds = 300;
// So many-th worlds are played twice, and must go the same way.
constexpr uint64_t kTwiceEvery = 10;

struct Arguments {
  uint64_t first = 1;
  uint64_t last = 0;
  std::string file;
  int jobs = 2;
  bool one = false;
  bool trace = false;
};

[[noreturn]] void Usage() {
  std::fprintf(stderr,
               "usage: beamline_sim --seeds FIRST-LAST [--file SEEDS] [--jobs N]\n"
               "       beamline_sim --seed N [--trace]\n");
  std::exit(2);
}

uint64_t Number(std::string_view text) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number)) Usage();
  return number;
}

Arguments Parse(absl::Span<char* const> words) {
  Arguments arguments;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--trace") {
      arguments.trace = true;
      continue;
    }
    if (i + 1 == words.size()) Usage();
    const std::string value = words[++i];
    if (word == "--seeds") {
      const std::vector<std::string> ends = absl::StrSplit(value, '-');
      if (ends.size() != 2) Usage();
      arguments.first = Number(ends[0]);
      arguments.last = Number(ends[1]);
    } else if (word == "--seed") {
      arguments.one = true;
      arguments.first = arguments.last = Number(value);
    } else if (word == "--file") {
      arguments.file = value;
    } else if (word == "--jobs") {
      arguments.jobs = static_cast<int>(std::max<uint64_t>(Number(value), 1));
    } else {
      Usage();
    }
  }
  return arguments;
}

// What a child tells its parent.
struct Verdict {
  uint64_t seed = 0;
  bool failed = false;
  uint64_t trace_hash = 0;
  std::array<int64_t, static_cast<size_t>(Fault::kCount)> counts = {};
  char failure[1000] = {};
};

Verdict PlayOne(const Setting& setting, const std::string& folder, uint64_t seed, bool trace) {
  World world(seed);
  if (trace) world.PrintTrace();
  Play(world, setting, folder);
  Verdict verdict{.seed = seed,
                  .failed = !world.failure().empty(),
                  .trace_hash = world.trace_hash(),
                  .counts = world.counts()};
  std::strncpy(verdict.failure, world.failure().c_str(), sizeof verdict.failure - 1);
  return verdict;
}

std::vector<uint64_t> SeedsOf(const Arguments& arguments) {
  std::vector<uint64_t> seeds;
  std::ifstream file(arguments.file);
  if (!arguments.file.empty() && !file) {
    std::fprintf(stderr, "cannot read %s\n", arguments.file.c_str());
    std::exit(2);
  }
  for (std::string line; std::getline(file, line);) {
    const std::string word = line.substr(0, line.find_first_of(" #"));
    if (!word.empty()) seeds.push_back(Number(word));
  }
  for (uint64_t seed = arguments.first; seed <= arguments.last; ++seed) seeds.push_back(seed);
  return seeds;
}

class Totals {
 public:
  // True if it held.
  bool Add(const Verdict& verdict) {
    ++worlds_;
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += verdict.counts[i];
    if (!verdict.failed) return true;
    std::printf("seed %llu FAILED: %s\n", static_cast<unsigned long long>(verdict.seed),
                verdict.failure);
    std::fflush(stdout);
    return false;
  }
  void Print() const {
    int64_t faults = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      faults += counts_[i];
      std::printf("  %-20s %10lld\n", std::string(NameOf(static_cast<Fault>(i))).c_str(),
                  static_cast<long long>(counts_[i]));
    }
    std::printf("%lld worlds, %lld faults\n", static_cast<long long>(worlds_),
                static_cast<long long>(faults));
  }

 private:
  int64_t worlds_ = 0;
  std::array<int64_t, static_cast<size_t>(Fault::kCount)> counts_ = {};
};

// Plays one world in a process of its own: a crash is a verdict, too.
Verdict PlayApart(const Setting& setting, const std::string& folder, uint64_t seed) {
  Verdict verdict{.seed = seed, .failed = true};
  std::strncpy(verdict.failure, "crashed or hung", sizeof verdict.failure - 1);
  int ends[2];
  if (pipe(ends) != 0) return verdict;
  const pid_t child = fork();
  if (child == 0) {
    alarm(kHangSeconds);
    verdict = PlayOne(setting, folder, seed, false);
    _exit(write(ends[1], &verdict, sizeof verdict) == sizeof verdict ? 0 : 1);
  }
  close(ends[1]);
  Verdict heard;
  if (read(ends[0], &heard, sizeof heard) == sizeof heard) verdict = heard;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove_all(folder + ".aside", ignored);
  return verdict;
}

// A process that plays every so many-th of the seeds, and writes verdicts.
void StartChild(const Setting& setting, const std::string& folder,
                const std::vector<uint64_t>& seeds, size_t offset, size_t stride, int out) {
  if (fork() != 0) return;
  const std::string own = absl::StrCat(folder, "/", offset);
  for (size_t i = offset; i < seeds.size(); i += stride) {
    Verdict verdict = PlayApart(setting, own, seeds[i]);
    if (!verdict.failed && seeds[i] % kTwiceEvery == 0 &&
        PlayApart(setting, own, seeds[i]).trace_hash != verdict.trace_hash) {
      verdict.failed = true;
      std::strncpy(verdict.failure, "played twice, it went another way",
                   sizeof verdict.failure - 1);
    }
    if (write(out, &verdict, sizeof verdict) != sizeof verdict) _exit(1);
  }
  _exit(0);
}

int PlayAll(const Arguments& arguments, const Setting& setting, const std::string& folder) {
  const std::vector<uint64_t> seeds = SeedsOf(arguments);
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 1;
  const auto jobs = static_cast<size_t>(arguments.jobs);
  for (size_t i = 0; i < jobs; ++i) {
    StartChild(setting, folder, seeds, i, jobs, pipe_ends[1]);
  }
  close(pipe_ends[1]);
  Totals totals;
  size_t heard = 0;
  size_t failed = 0;
  Verdict verdict;
  while (read(pipe_ends[0], &verdict, sizeof verdict) == sizeof verdict) {
    ++heard;
    failed += totals.Add(verdict) ? 0 : 1;
  }
  while (wait(nullptr) > 0) {
  }
  totals.Print();
  if (heard != seeds.size())
    std::printf("only %zu of %zu worlds were heard of\n", heard, seeds.size());
  return failed == 0 && heard == seeds.size() ? 0 : 1;
}

int Main(absl::Span<char* const> words) {
  const Arguments arguments = Parse(words);
  log::Start("sim", arguments.trace ? log::Level::kDebug : static_cast<log::Level>(99));
  // Memory, if there is such a folder: the disk is played anyway.
  std::string folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  folder += "/beamline-sim.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  Setting setting;
  setting.template_folder = folder + "/template";
  setting.state = MakeInitialState(setting.template_folder);
  Calibrate(setting, folder + "/calibration");
  int result = 0;
  if (arguments.one) {
    const Verdict verdict = PlayOne(setting, folder + "/one", arguments.first, arguments.trace);
    Totals totals;
    result = totals.Add(verdict) ? 0 : 1;
    totals.Print();
    std::printf("trace %016llx\n", static_cast<unsigned long long>(verdict.trace_hash));
  } else {
    result = PlayAll(arguments, setting, folder);
  }
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace
}  // namespace beamline::sim

int main(int argc, char** argv) {
  return beamline::sim::Main(absl::MakeConstSpan(argv, static_cast<size_t>(argc)));
}
