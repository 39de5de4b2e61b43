INSERT INTO run_log (job_name,
               trigger_type, status, started_at, total_records, changed_records, created_alerts,
               retry_count, updated_at, run_key, host, pid, lost_after_seconds)
VALUES (%(in_job_name)s::VARCHAR, %(in_trigger_type)s::VARCHAR, 'RUNNING', pg_catalog.now(), 0, 0, 0, 0, pg_catalog.now(), %(in_run_key)s::pg_catalog.uuid, %(in_host)s::VARCHAR, %(in_pid)s::INTEGER, %(in_lost_after_seconds)s::INTEGER) ON CONFLICT (run_key) DO
UPDATE
SET run_key = %(in_run_key)s::pg_catalog.uuid RETURNING run_log.id,
                                                        pg_catalog.pg_backend_pid() AS backend_pid,
                                                        pg_catalog.set_config('synchronous_commit',
                                                                     'off', true);
