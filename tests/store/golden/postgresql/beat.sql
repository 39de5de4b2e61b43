UPDATE run_log
SET heartbeat_at=now()
WHERE run_log.run_key = ANY (%(in_run_keys)s::UUID[])
  AND run_log.status = 'RUNNING';
