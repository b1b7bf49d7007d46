-- What tests came to. `test` outlives the runs it was learned from; `test_outcome` goes with its run.

-- `recent` has one character for each of the last runs, the newest last; see `podium.store.test_records`.
CREATE TABLE test (
    origin TEXT NOT NULL,
    id TEXT NOT NULL,
    duration REAL NOT NULL,
    outcome TEXT NOT NULL,
    runs INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    flaky INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    last_bad_us INTEGER NOT NULL,
    recent TEXT NOT NULL,
    PRIMARY KEY (origin, id)
) STRICT, WITHOUT ROWID;

-- Tests that did not simply pass; `seq` is the place in the journal of what is said of them last.
CREATE TABLE test_outcome (
    run INTEGER NOT NULL REFERENCES run_key (key),
    step TEXT NOT NULL,
    id TEXT NOT NULL,
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    flaky INTEGER NOT NULL,
    duration REAL NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, step, id)
) STRICT, WITHOUT ROWID;

-- Where in the journal results stand that `test` and `test_outcome` do not hold yet.
CREATE TABLE test_news (
    run INTEGER NOT NULL REFERENCES run_key (key),
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
