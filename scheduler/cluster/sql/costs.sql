-- Version 5: what a run on a worker costs is counted under this name in its citizen's ledger.
ALTER TABLE experience.remote ADD COLUMN charge text NOT NULL DEFAULT '';

-- Who changes the epoch waits for writes that are fenced by it (FOR KEY SHARE), and a renewal does not.
CREATE UNIQUE INDEX owners_epoch ON experience.owners (citizen, epoch);
