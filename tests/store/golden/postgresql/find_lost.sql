SELECT run_log.id, run_log.run_key, run_log.job_name, run_log.host, run_log.pid,
       coalesce(run_log.heartbeat_at, run_log.started_at) AS coalesce_1, run_log.lost_after_seconds
FROM run_log
WHERE run_log.run_key IS NOT NULL
  AND run_log.status OPERATOR(pg_catalog.=) 'RUNNING'
  AND coalesce(run_log.heartbeat_at, run_log.started_at) OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) coalesce(run_log.lost_after_seconds OPERATOR(pg_catalog.*) interval '1 second', %(in_silent_for)s))
ORDER BY run_log.id
LIMIT %(in_limit)s::INTEGER;
