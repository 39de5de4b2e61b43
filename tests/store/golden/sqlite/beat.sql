UPDATE run_log
SET heartbeat_at=(strftime('%Y-%m-%d %H:%M:%f', 'now'))
WHERE run_log.run_key IN (?)
  AND run_log.status = ?;
