-- Ids of tasks that their owners had forgotten. They stay taken: a copy of a submission may come late.
CREATE TABLE forgotten_ids (
    task_id TEXT NOT NULL PRIMARY KEY,
    forgotten_ms INTEGER NOT NULL
);
