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
