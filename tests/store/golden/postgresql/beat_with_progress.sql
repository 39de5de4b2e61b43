WITH alive AS
  (UPDATE run_log
   SET heartbeat_at=pg_catalog.now()
   WHERE run_log.run_key OPERATOR(pg_catalog.=) ANY (%(in_run_keys)s::pg_catalog.uuid[])
     AND run_log.status OPERATOR(pg_catalog.=) 'RUNNING' RETURNING run_log.run_key)
INSERT INTO run_note (run_key, done, total, created_at, progress_at)
SELECT told.run_key, told.done, told.total, pg_catalog.now() AS anon_1, pg_catalog.now() AS anon__1
FROM
  (SELECT anon_2.run_key AS run_key, anon_2.done AS done, anon_2.total AS total
   FROM ROWS
   FROM (pg_catalog.unnest(%(told_run_key_1)s::pg_catalog.uuid[]), pg_catalog.unnest(%(told_done_1)s::BIGINT[]),
         pg_catalog.unnest(%(told_total_1)s::BIGINT[])) AS anon_2(run_key,
                                                             done, total)) AS told
JOIN alive ON alive.run_key OPERATOR(pg_catalog.=) told.run_key
WHERE true ON CONFLICT (run_key) DO
  UPDATE
  SET done = excluded.done, total = excluded.total, progress_at = excluded.progress_at;
