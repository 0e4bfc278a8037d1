// One run of a program under way: hands on what it says, keeps its checkpoints, obeys stops.
#pragma once

#include <map>
#include <string>

#include "pipeline/execute_internal.h"
#include "pipeline/metric_lines.h"
#include "pipeline/program_host.h"

namespace beamline::pipeline::execution {

// Only for the files execute*.cc. Not thread-safe.
class ProgramRun {
 public:
  // Takes the folder of `host`, whose files are those of `program` then. `path`: the program's
  // field path, for failures.
  ProgramRun(Task& task, ProgramHost& host, const v1::Program& program, std::string path);
  // Kills what still runs.
  ~ProgramRun();
  ProgramRun(const ProgramRun&) = delete;
  ProgramRun& operator=(const ProgramRun&) = delete;

  const std::string& folder() const { return host_.folder(); }
  // The archive of checkpoint/ that an attempt before this one kept, unpacked there.
  void Restore();
  // Runs the program, with `more` behind its arguments, to its end. True if it succeeded; false if
  // the task was asked to stop: `end` has the outcome then. Throws TaskFailure (USER) if the
  // program failed, with its last words.
  bool Run(const std::vector<std::string>& more, v1::TaskEnd* end);

  // The last value of each metric that the program has told, at most 100.
  const std::map<std::string, double>& metrics() const { return metrics_; }

 private:
  ProgramOutcome Follow();
  void Hear(bool last);
  void Obey(const ProgramWord& word);
  void Checkpoint(int64_t step);
  bool Stopping();
  [[noreturn]] void Fail(const ProgramOutcome& outcome) const;

  Task& task_;
  ProgramHost& host_;
  const v1::Program& program_;
  const std::string path_;
  MetricFile words_;
  std::map<std::string, double> metrics_;
  int wrong_lines_ = 0;
  int64_t checkpoint_step_ = 0;
  int checkpoints_ = 0;
  bool running_ = false;
  // When the program was asked to end; -1: not yet. Unit: milliseconds.
  int64_t stopped_ms_ = -1;
  bool killed_ = false;
};

}  // namespace beamline::pipeline::execution
