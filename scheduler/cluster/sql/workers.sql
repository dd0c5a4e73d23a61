-- Version 2: runs that workers carry. The tables of Procrastinate follow, in the same schema.

-- A worker, from the start of its lease to its end: the next one of the same process has another id.
CREATE TABLE experience.workers (
    id uuid PRIMARY KEY,
    machine text NOT NULL,
    queues text[] NOT NULL,
    concurrency integer NOT NULL,
    process jsonb NOT NULL,
    until timestamptz NOT NULL  -- from then on nothing runs that it claimed
);

-- An open run that a worker carries: it waits, then it has a worker, then a result; never back.
CREATE TABLE experience.remote (
    run bigint PRIMARY KEY REFERENCES experience.runs ON DELETE CASCADE,
    citizen text NOT NULL,
    task text NOT NULL,
    epoch bigint NOT NULL,
    queue text NOT NULL,
    digest text NOT NULL,
    last_success double precision,
    job bigint NOT NULL,  -- of Procrastinate, that knocks for it
    knocked timestamptz NOT NULL DEFAULT clock_timestamp(),
    worker uuid,
    stop boolean NOT NULL DEFAULT false,
    result jsonb
);
CREATE INDEX remote_of_task ON experience.remote (citizen, task);
CREATE INDEX remote_of_worker ON experience.remote (worker) WHERE result IS NULL;
