-- What a workflow's outputs came to, the circuits of targets, and what people and programs tell a run.

ALTER TABLE run ADD COLUMN output TEXT;

CREATE TABLE circuit (
    target TEXT PRIMARY KEY,
    circuit TEXT NOT NULL
) STRICT;

CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX message_by_run ON message (run, id);

-- Which steps looked for a result of an identical one; those that found none and passed are such results themselves.
CREATE TABLE lookup (
    run INTEGER NOT NULL REFERENCES run_key (key),
    step TEXT NOT NULL,
    digest TEXT NOT NULL,
    hit INTEGER NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE INDEX lookup_by_digest ON lookup (digest);
