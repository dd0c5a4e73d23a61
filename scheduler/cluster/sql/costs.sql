-- Version 5: what a run on a worker costs is counted under this name in its citizen's ledger.
ALTER TABLE experience.remote ADD COLUMN charge text NOT NULL DEFAULT '';
