-- Version 6: which providers are away, for the runs of all machines.
CREATE TABLE experience.providers (
    provider text PRIMARY KEY,
    outage jsonb NOT NULL,  -- its moments are seconds from `noted`: the clocks of machines differ
    noted timestamptz NOT NULL,
    run text NOT NULL,  -- the probe, the one run that tries the provider; '': none does
    holder uuid NOT NULL  -- the process that began the probe
);

-- The name under which the cost of a run is counted; NULL: its owner's program was older and did not say.
ALTER TABLE experience.runs ADD COLUMN charge text;
