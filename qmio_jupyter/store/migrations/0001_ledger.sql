-- The ledger as it began. A released migration is never edited; a change is a new file with the next number.

-- One row: the gateway's epoch, which only rises.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
);
INSERT INTO meta (one, epoch) VALUES (1, 0);

-- What the WHERE of an update and of a listing need stands in columns; `task` is the Task in msgpack, but for its
-- spec, which never changes and may be large. The blob is last: reading the columns does not touch its pages.
CREATE TABLE tasks (
    task_id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    device TEXT NOT NULL,
    label TEXT NOT NULL,
    state TEXT NOT NULL,
    live INTEGER NOT NULL CHECK (live IN (0, 1)),
    revision INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    submitted_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    spec_digest TEXT NOT NULL,
    programs TEXT NOT NULL,
    task BLOB NOT NULL
);
CREATE INDEX tasks_by_tenant ON tasks (tenant, submitted_ms, task_id);
CREATE INDEX tasks_by_age ON tasks (submitted_ms, task_id);
CREATE INDEX tasks_live ON tasks (live) WHERE live = 1;

CREATE TABLE specs (
    task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (task_id) ON DELETE CASCADE,
    spec BLOB NOT NULL
) WITHOUT ROWID;

-- Every change of state, in the order it was committed. Append-only; it goes when its task is forgotten.
CREATE TABLE transitions (
    task_id TEXT NOT NULL REFERENCES tasks (task_id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (task_id, revision)
) WITHOUT ROWID;
CREATE TRIGGER transitions_append_only BEFORE UPDATE ON transitions
BEGIN
    SELECT RAISE (ABORT, 'transitions are append-only');
END;

-- At most one final result per task, and at most one partial one until then.
CREATE TABLE results (
    task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (task_id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    result BLOB NOT NULL
);
CREATE TABLE partials (
    task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (task_id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    result BLOB NOT NULL
);

CREATE TABLE programs (
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
);

CREATE TABLE sessions (
    session_id TEXT NOT NULL PRIMARY KEY,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    session BLOB NOT NULL
);
CREATE INDEX sessions_open ON sessions (open) WHERE open = 1;

CREATE TABLE grants (
    grant_id TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE bookings (
    booking_id TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE enrolments (
    key TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE snapshots (
    snapshot_id TEXT NOT NULL PRIMARY KEY,
    device TEXT NOT NULL,
    taken_ms INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE devices (
    name TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE usage (
    device TEXT NOT NULL,
    node TEXT NOT NULL,
    seconds REAL NOT NULL,
    as_of_ms INTEGER NOT NULL,
    PRIMARY KEY (device, node)
);
