// Schema 5: the audit as a chain, what tokens are limited to, and users who are programs or out.
#pragma once

namespace beamline::store {

// audit: see v1.AuditLink. The columns beside `record` and `hash` repeat what the record says, for
// queries. audit_head: what was appended last; a table that ends before was cut.
// audit_without_chain: what schema 4 had; the migration moves it into the chain.
// tokens.projects: ids with a space between, empty: not limited. tokens.max_role: 0: not limited.
inline constexpr char kSchemaV5[] = R"sql(
ALTER TABLE users ADD COLUMN service_account INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN projects TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN max_role INTEGER NOT NULL DEFAULT 0;

ALTER TABLE audit RENAME TO audit_without_chain;
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  project TEXT NOT NULL,
  principal TEXT NOT NULL,
  record BLOB NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_project ON audit (project, sequence);

CREATE TABLE audit_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  sequence INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;
INSERT INTO audit_head VALUES
  (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER audit_keeps BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit are not deleted'); END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit are not changed'); END;
)sql";

}  // namespace beamline::store
