-- Version 2: which machines there are, and where a citizen ran before.
ALTER TABLE experience.owners
    ADD COLUMN moved_from text NOT NULL DEFAULT '',
    ADD COLUMN moved_at timestamptz;

-- A process that runs citizens, or could: removed when it ends, old when its machine is silent.
CREATE TABLE experience.machines (
    holder uuid PRIMARY KEY,
    name text NOT NULL,
    pid integer NOT NULL,
    boot text NOT NULL,
    version text NOT NULL,
    seconds double precision NOT NULL,  -- of its leases
    seen timestamptz NOT NULL,
    load double precision,
    ahead double precision NOT NULL,  -- seconds of its clock before this one
    homes text[] NOT NULL  -- the citizens whose homes it has
);

-- What files of a home say, the same on every machine: its freeze, the notes of its wakes. Of a root: citizen ''.
CREATE TABLE experience.notes (
    citizen text NOT NULL,
    name text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (citizen, name)
);

-- The lines of each citizen's ledger: a budget is the citizen's, wherever it runs. Of a root: citizen ''.
CREATE TABLE experience.spending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    citizen text NOT NULL,
    line text NOT NULL
);
CREATE INDEX spending_of ON experience.spending (citizen, id);
