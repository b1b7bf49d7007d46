-- The process that works on the runs of the background queue, if there is one; the queue itself is made of runs.
CREATE TABLE background (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    engine TEXT NOT NULL,
    seen_us INTEGER NOT NULL
) STRICT;

INSERT INTO background VALUES (1, '', 0);

CREATE INDEX run_unfinished ON run (started_us) WHERE outcome IS NULL;
