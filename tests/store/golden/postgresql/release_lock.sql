UPDATE job_lock
SET lock_expires_at=timestamptz '1970-01-01 00:00:00+00'
WHERE job_lock.job_name = %(in_job_name)s::VARCHAR
  AND job_lock.locked_by = %(in_locked_by)s::VARCHAR
  AND job_lock.fence = %(in_fence)s::BIGINT
  AND job_lock.lock_expires_at > clock_timestamp() RETURNING job_lock.fence;
