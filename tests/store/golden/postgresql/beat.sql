UPDATE run_log
SET heartbeat_at=pg_catalog.now()
WHERE run_log.run_key OPERATOR(pg_catalog.=) ANY (%(in_run_keys)s::pg_catalog.uuid[])
  AND run_log.status OPERATOR(pg_catalog.=) 'RUNNING';
