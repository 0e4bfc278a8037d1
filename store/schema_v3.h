// Version 3 of the schema: steps that are repeated for trials and folds.
#pragma once

namespace beamline::store {

// A step may have several tasks, so that tasks have ids of their own. `trials` holds what a search
// has to know of its tasks when it chooses the next ones: narrow rows, for they are all read each
// time one of them ends. message: v1.Trial. value: the objective; NULL until it is known.
inline constexpr char kSchemaV3[] = R"sql(
ALTER TABLE tasks RENAME COLUMN step TO id;
ALTER TABLE attempts RENAME COLUMN step TO task;
CREATE INDEX tasks_by_run_and_state ON tasks (run, state);

CREATE TABLE trials (
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  number INTEGER NOT NULL,
  epochs INTEGER NOT NULL,
  fold INTEGER NOT NULL,
  task TEXT NOT NULL,
  state INTEGER NOT NULL,
  value REAL,
  seconds REAL NOT NULL DEFAULT 0,
  message BLOB NOT NULL,
  PRIMARY KEY (run, step, number, epochs, fold),
  FOREIGN KEY (run, task) REFERENCES tasks (run, id)
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace beamline::store
