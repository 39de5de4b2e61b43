WITH taken AS
  (INSERT INTO job_lock (job_name, locked_by, locked_at, lock_expires_at, fence)
   VALUES (%(in_job_name)s::VARCHAR, %(in_locked_by)s::VARCHAR, pg_catalog.clock_timestamp(), (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) %(in_ttl)s), (extract(epoch
                                                                                                                                                                         from pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000000)::bigint) ON CONFLICT (job_name) DO UPDATE
   SET locked_by = %(in_locked_by)s::VARCHAR, locked_at = pg_catalog.clock_timestamp(),
       lock_expires_at = (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) %(in_ttl)s), fence = (job_lock.fence OPERATOR(pg_catalog.+) 1)
   WHERE job_lock.lock_expires_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()
     OR job_lock.locked_by OPERATOR(pg_catalog.=) %(in_locked_by)s::VARCHAR RETURNING job_lock.fence)
SELECT taken.fence, NULL AS locked_by, NULL AS lock_expires_at, false AS is_ahead
FROM taken
UNION ALL
SELECT NULL AS anon_1, job_lock.locked_by, job_lock.lock_expires_at, job_lock.locked_at OPERATOR(pg_catalog.>) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) interval '1 minute') AS anon_2
FROM job_lock
WHERE job_lock.job_name OPERATOR(pg_catalog.=) %(in_job_name)s::VARCHAR
  AND NOT (EXISTS
             (SELECT 1
              FROM taken));
