-- The journal is the truth; `run` and `step` are read models that can be rebuilt from it.

CREATE TABLE run_key (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE journal (
    run INTEGER NOT NULL REFERENCES run_key (key),
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE run (
    key INTEGER PRIMARY KEY REFERENCES run_key (key),
    id TEXT NOT NULL UNIQUE,
    work TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT,
    definition TEXT NOT NULL,
    steps INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    options TEXT NOT NULL,
    engine TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    finished_us INTEGER,
    outcome TEXT,
    counts TEXT NOT NULL DEFAULT '{}',
    duration REAL
) STRICT;

CREATE INDEX run_by_start ON run (started_us);

-- `outcome` is NULL until the step is done; `result_seq` is the place of its last result in the journal.
CREATE TABLE step (
    run INTEGER NOT NULL REFERENCES run_key (key),
    name TEXT NOT NULL,
    outcome TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    finished_us INTEGER NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    duration REAL,
    result_seq INTEGER,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX step_by_name ON step (name, finished_us);
