SELECT run_log.id, run_log.run_key, run_log.job_name, run_log.host, run_log.pid,
       coalesce(run_log.heartbeat_at, run_log.started_at) AS coalesce_1, run_log.lost_after_seconds
FROM run_log
WHERE run_log.run_key IS NOT NULL
  AND run_log.status = ?
  AND strftime('%Y-%m-%d %H:%M:%f', 'now', (-coalesce(run_log.lost_after_seconds,
                                               ?)) || ' seconds') > coalesce(run_log.heartbeat_at,
                                                                      run_log.started_at)
ORDER BY run_log.id
LIMIT ?
OFFSET ?;
