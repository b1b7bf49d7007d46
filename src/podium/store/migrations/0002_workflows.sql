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
