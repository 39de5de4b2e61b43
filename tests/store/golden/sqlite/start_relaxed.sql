INSERT INTO run_log (job_name,
               trigger_type, status, started_at, updated_at, run_key, host, pid,
               lost_after_seconds)
VALUES (?, ?, ?, (strftime('%Y-%m-%d %H:%M:%f', 'now')), (strftime('%Y-%m-%d %H:%M:%f', 'now')), ?, ?, ?, ?) ON CONFLICT (run_key) DO
UPDATE
SET run_key = ? RETURNING id;
