-- What checks the proofs of Slurm jobs that have no MUNGE: hashes, of which no proof can be made.
CREATE TABLE job_secrets (
    cluster TEXT NOT NULL,
    job_id TEXT NOT NULL,
    node TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (cluster, job_id, node)
);
