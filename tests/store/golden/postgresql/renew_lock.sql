UPDATE job_lock
SET lock_expires_at=(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) %(in_ttl)s)
WHERE job_lock.job_name OPERATOR(pg_catalog.=) %(in_job_name)s::VARCHAR
  AND job_lock.locked_by OPERATOR(pg_catalog.=) %(in_locked_by)s::VARCHAR
  AND job_lock.fence OPERATOR(pg_catalog.=) %(in_fence)s::BIGINT
  AND job_lock.lock_expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp() RETURNING job_lock.fence;
