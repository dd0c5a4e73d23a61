-- Version 1. A later version only adds, so that older programs go on.
CREATE SCHEMA experience;

CREATE TABLE experience.version (number integer NOT NULL);
INSERT INTO experience.version VALUES (1);

-- Who runs a citizen. Only the clock of this database is compared with `until`.
CREATE TABLE experience.owners (
    citizen text PRIMARY KEY,
    epoch bigint NOT NULL,
    holder uuid NOT NULL,
    machine text NOT NULL,
    process jsonb NOT NULL,
    home_id text NOT NULL,
    wanted text NOT NULL DEFAULT '',  -- the machine that shall own it next
    until timestamptz NOT NULL
);

CREATE TABLE experience.states (
    citizen text NOT NULL,
    task text NOT NULL,
    epoch bigint NOT NULL,
    state jsonb NOT NULL,
    PRIMARY KEY (citizen, task)
);

CREATE TABLE experience.runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    citizen text NOT NULL,
    task text NOT NULL,
    number bigint NOT NULL,
    slot text NOT NULL,
    attempt integer NOT NULL,
    epoch bigint NOT NULL,
    trigger text,
    started double precision NOT NULL,
    finished double precision,
    seconds double precision,
    outcome text,
    text text NOT NULL DEFAULT '',
    output text NOT NULL DEFAULT '',
    traceback text NOT NULL DEFAULT '',
    facts text NOT NULL DEFAULT '',
    UNIQUE (citizen, task, number)
);
-- A task never overlaps itself, whoever believes to own it.
CREATE UNIQUE INDEX open_run ON experience.runs (citizen, task) WHERE outcome IS NULL;
CREATE INDEX runs_of_task ON experience.runs (citizen, task, id);
CREATE INDEX failures ON experience.runs (citizen, id) WHERE outcome IN ('failed', 'timed out', 'interrupted');

-- What processes say to each other: the lines of a socket's protocol, on their way. Lost in a crash, and sent again.
CREATE UNLOGGED TABLE experience.mail (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target uuid NOT NULL,
    sender uuid NOT NULL,
    session uuid NOT NULL,
    citizen text NOT NULL DEFAULT '',  -- of the first of a session
    about text NOT NULL DEFAULT '',  -- who asks, in the first of a session
    data text NOT NULL DEFAULT '',
    ended boolean NOT NULL DEFAULT false,
    sent timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX mail_of_target ON experience.mail (target, id);
