-- What the migrations lead to: tables, indexes, triggers by name; a test keeps it equal. Not read by the program.

CREATE TABLE bookings (
    booking_id TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE devices (
    name TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE enrolments (
    key TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE forgotten_ids (
    task_id TEXT NOT NULL PRIMARY KEY,
    forgotten_ms INTEGER NOT NULL
);

CREATE TABLE grants (
    grant_id TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE job_secrets (
    cluster TEXT NOT NULL,
    job_id TEXT NOT NULL,
    node TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (cluster, job_id, node)
);

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
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

CREATE TABLE results (
    task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (task_id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    result BLOB NOT NULL
);

CREATE TABLE sessions (
    session_id TEXT NOT NULL PRIMARY KEY,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    session BLOB NOT NULL
);

CREATE TABLE snapshots (
    snapshot_id TEXT NOT NULL PRIMARY KEY,
    device TEXT NOT NULL,
    taken_ms INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE specs (
    task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (task_id) ON DELETE CASCADE,
    spec BLOB NOT NULL
) WITHOUT ROWID;

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

CREATE TABLE transitions (
    task_id TEXT NOT NULL REFERENCES tasks (task_id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (task_id, revision)
) WITHOUT ROWID;

CREATE TABLE usage (
    device TEXT NOT NULL,
    node TEXT NOT NULL,
    seconds REAL NOT NULL,
    as_of_ms INTEGER NOT NULL,
    PRIMARY KEY (device, node)
);

CREATE INDEX sessions_open ON sessions (open) WHERE open = 1;

CREATE INDEX tasks_by_age ON tasks (submitted_ms, task_id);

CREATE INDEX tasks_by_tenant ON tasks (tenant, submitted_ms, task_id);

CREATE INDEX tasks_live ON tasks (live) WHERE live = 1;

CREATE TRIGGER transitions_append_only BEFORE UPDATE ON transitions
BEGIN
    SELECT RAISE (ABORT, 'transitions are append-only');
END;
