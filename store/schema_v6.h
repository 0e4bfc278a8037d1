// Schema 6: what databases that were begun with an early form of schema 4 lack.
#pragma once

namespace beamline::store {

// Databases of the first form of schema 4 lack this index. Without it each look for bytes that
// nothing refers to reads the whole table.
inline constexpr char kSchemaV6[] = R"sql(
CREATE INDEX IF NOT EXISTS blob_references_by_digest ON blob_references (digest);
)sql";

}  // namespace beamline::store
