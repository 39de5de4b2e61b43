SELECT job_lock.locked_by, job_lock.lock_expires_at,
       job_lock.lock_expires_at <= (strftime('%Y-%m-%d %H:%M:%f',
                                      'now')) AS expired,
       job_lock.locked_at > strftime('%Y-%m-%d %H:%M:%f',
                              'now', (60) || ' seconds') AS is_ahead
FROM job_lock
WHERE job_lock.job_name = ?;

INSERT INTO job_lock (job_name, locked_by, locked_at, lock_expires_at, fence)
VALUES (?, ?, (strftime('%Y-%m-%d %H:%M:%f', 'now')), strftime('%Y-%m-%d %H:%M:%f', 'now', (?) || ' seconds'), ?) RETURNING fence;
