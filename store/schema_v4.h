// Schema 4: how tasks are being stopped, what they attained, and results that others may take.
#pragma once

namespace beamline::store {

// tasks.stopping: 0 it is not; 1 it was cancelled; 2 it makes room; 3 its run is paused.
// tasks.attained: service for the scheduler, see scheduler::TaskQueued.
// attempts.start_time: 0 if unknown.
// step_results: what steps came to, by what they did to what; see server/step_cache.h.
inline constexpr char kSchemaV4[] = R"sql(
ALTER TABLE tasks RENAME COLUMN cancelling TO stopping;
ALTER TABLE tasks ADD COLUMN attained INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN start_time INTEGER NOT NULL DEFAULT 0;

CREATE TABLE step_results (
  project TEXT NOT NULL REFERENCES projects (id),
  key TEXT NOT NULL,
  run TEXT NOT NULL,
  task TEXT NOT NULL,
  PRIMARY KEY (project, key),
  FOREIGN KEY (run, task) REFERENCES tasks (run, id)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace beamline::store
