UPDATE job_lock
SET lock_expires_at='1970-01-01 00:00:00.000'
WHERE job_lock.job_name = ?
  AND job_lock.locked_by = ?
  AND job_lock.fence = ?
  AND job_lock.lock_expires_at > (strftime('%Y-%m-%d %H:%M:%f', 'now'));
