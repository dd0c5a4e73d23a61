-- Version 4: which server this is. It becomes another one when a replica is promoted, or a copy is put back.
CREATE FUNCTION experience.server() RETURNS text LANGUAGE sql AS $$
    SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)  -- and its timeline
    FROM pg_control_system()
$$;
ALTER TABLE experience.version ADD COLUMN server text;
UPDATE experience.version SET server = experience.server();

-- Which line of its session it is: one that is sent again, since the answer to its commit was lost, counts once.
ALTER TABLE experience.mail ADD COLUMN number bigint NOT NULL DEFAULT 0;
