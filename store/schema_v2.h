// Version 2 of the schema: runs are counted as they change.
#pragma once

namespace beamline::store {

// Counting a project's queued runs took time with their number, in every CreateRun. The triggers
// keep the counts in the transaction that changes a run.
inline constexpr char kSchemaV2[] = R"sql(
CREATE TABLE run_counts (
  project TEXT NOT NULL,
  state INTEGER NOT NULL,
  runs INTEGER NOT NULL,
  PRIMARY KEY (project, state)
) STRICT, WITHOUT ROWID;
INSERT INTO run_counts SELECT project, state, count(*) FROM runs GROUP BY project, state;

CREATE TRIGGER run_counts_insert AFTER INSERT ON runs BEGIN
  INSERT INTO run_counts VALUES (NEW.project, NEW.state, 1)
    ON CONFLICT (project, state) DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER run_counts_update AFTER UPDATE OF state ON runs WHEN OLD.state <> NEW.state BEGIN
  UPDATE run_counts SET runs = runs - 1 WHERE project = OLD.project AND state = OLD.state;
  INSERT INTO run_counts VALUES (NEW.project, NEW.state, 1)
    ON CONFLICT (project, state) DO UPDATE SET runs = runs + 1;
END;
CREATE TRIGGER run_counts_delete AFTER DELETE ON runs BEGIN
  UPDATE run_counts SET runs = runs - 1 WHERE project = OLD.project AND state = OLD.state;
END;
)sql";

}  // namespace beamline::store
