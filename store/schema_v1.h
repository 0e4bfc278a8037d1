// Schema version 1. Times are microseconds since 1970. `message` columns hold serialised messages
// of beamline.v1; the columns beside them exist because queries need them.
#pragma once

namespace beamline::store {

inline constexpr char kSchemaV1[] = R"sql(
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  is_operator INTEGER NOT NULL,
  create_time INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users (id),
  secret_hash BLOB NOT NULL,
  description TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  expire_time INTEGER,
  last_use_time INTEGER,
  revoked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tokens_by_user ON tokens (user);

CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  create_time INTEGER NOT NULL,
  message BLOB NOT NULL
) STRICT;

CREATE TABLE members (
  project TEXT NOT NULL REFERENCES projects (id),
  user TEXT NOT NULL REFERENCES users (id),
  role INTEGER NOT NULL,
  PRIMARY KEY (project, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user);

CREATE TABLE join_tokens (
  id TEXT PRIMARY KEY,
  secret_hash BLOB NOT NULL,
  uses_left INTEGER NOT NULL,
  expire_time INTEGER,
  pool TEXT NOT NULL
) STRICT;

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  certificate_digest TEXT NOT NULL,
  pool TEXT NOT NULL,
  session TEXT NOT NULL,
  draining INTEGER NOT NULL DEFAULT 0,
  join_time INTEGER NOT NULL,
  message BLOB NOT NULL
) STRICT;

-- An upload lies in the file of its id until it is finished.
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects (id),
  dataset TEXT NOT NULL,
  expire_time INTEGER NOT NULL,
  message BLOB NOT NULL,
  UNIQUE (project, dataset)
) STRICT;
CREATE INDEX uploads_by_expiry ON uploads (expire_time);

CREATE TABLE datasets (
  serial INTEGER PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects (id),
  id TEXT NOT NULL,
  message BLOB NOT NULL,
  UNIQUE (project, id)
) STRICT;

CREATE TABLE pipelines (
  project TEXT NOT NULL REFERENCES projects (id),
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  message BLOB NOT NULL,
  PRIMARY KEY (project, id, version)
) STRICT;

-- message: the run without its definition and last_sequence.
CREATE TABLE runs (
  serial INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL REFERENCES projects (id),
  pipeline TEXT NOT NULL,
  state INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  message BLOB NOT NULL,
  definition BLOB NOT NULL
) STRICT;
CREATE INDEX runs_by_project ON runs (project, serial);
CREATE INDEX runs_by_state ON runs (state, project);

-- failures, losses, not_before: what the scheduler has to know again after a restart.
CREATE TABLE tasks (
  run TEXT NOT NULL REFERENCES runs (id),
  step TEXT NOT NULL,
  position INTEGER NOT NULL,
  state INTEGER NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER,
  queued_at INTEGER NOT NULL,
  cancelling INTEGER NOT NULL DEFAULT 0,
  message BLOB NOT NULL,
  PRIMARY KEY (run, step)
) STRICT;
CREATE INDEX tasks_by_state ON tasks (state);

-- live: this attempt holds the lease of its task. acknowledged: number of its last durable report.
-- result: v1.AttemptResult, once it has reported one.
CREATE TABLE attempts (
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  number INTEGER NOT NULL,
  worker TEXT NOT NULL REFERENCES workers (id),
  live INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL DEFAULT 0,
  cpu_millis INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  message BLOB NOT NULL,
  result BLOB,
  PRIMARY KEY (run, step, number),
  FOREIGN KEY (run, step) REFERENCES tasks (run, step)
) STRICT;
CREATE UNIQUE INDEX live_attempts ON attempts (run, step) WHERE live = 1;
CREATE INDEX live_attempts_by_worker ON attempts (worker) WHERE live = 1;

-- kind: the number of the field that is set in v1.Event.kind. name: of a metric.
CREATE TABLE events (
  run TEXT NOT NULL REFERENCES runs (id),
  sequence INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  step TEXT NOT NULL,
  name TEXT NOT NULL,
  message BLOB NOT NULL,
  PRIMARY KEY (run, sequence)
) STRICT;
CREATE INDEX events_by_kind ON events (run, kind, sequence);

CREATE TABLE models (
  serial INTEGER PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects (id),
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  message BLOB NOT NULL,
  UNIQUE (project, id, version),
  UNIQUE (run, step)
) STRICT;

-- Versions that were given, also those since deleted: a version is never given twice.
CREATE TABLE model_versions (
  project TEXT NOT NULL REFERENCES projects (id),
  id TEXT NOT NULL,
  last_version INTEGER NOT NULL,
  PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID;

-- Which blobs a project may use, and through what: "datasets/D", "runs/R", "models/M/versions/V".
CREATE TABLE blob_references (
  project TEXT NOT NULL REFERENCES projects (id),
  digest TEXT NOT NULL,
  owner TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  PRIMARY KEY (project, digest, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_references_by_owner ON blob_references (project, owner);

-- First answers to calls that carried a request_id.
CREATE TABLE requests (
  principal TEXT NOT NULL,
  request_id TEXT NOT NULL,
  method TEXT NOT NULL,
  digest TEXT NOT NULL,
  response BLOB NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (principal, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (create_time);

CREATE TABLE audit (
  serial INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  principal TEXT NOT NULL,
  method TEXT NOT NULL,
  resource TEXT NOT NULL,
  code INTEGER NOT NULL,
  peer TEXT NOT NULL
) STRICT;
)sql";

}  // namespace beamline::store
