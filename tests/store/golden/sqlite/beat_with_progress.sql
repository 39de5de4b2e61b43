UPDATE run_log
SET heartbeat_at=(strftime('%Y-%m-%d %H:%M:%f', 'now'))
WHERE run_log.run_key IN (?)
  AND run_log.status = ?;

INSERT INTO run_note (run_key, done, total, created_at, progress_at)
SELECT told.run_key, told.done, told.total, (strftime('%Y-%m-%d %H:%M:%f',
                                               'now')) AS anon_1,
       (strftime('%Y-%m-%d %H:%M:%f', 'now')) AS anon__1
FROM
  (SELECT json_extract(told_each.value, '$[0]') AS run_key, json_extract(told_each.value,
                                                              '$[1]') AS done,
          json_extract(told_each.value, '$[2]') AS total
   FROM json_each(?) AS told_each
   ORDER BY told_each."key") AS told
JOIN
  (SELECT run_log.run_key AS run_key
   FROM run_log
   WHERE run_log.run_key IN (?)
     AND run_log.status = ?) AS alive ON alive.run_key = told.run_key
WHERE 1 = 1 ON CONFLICT (run_key) DO
  UPDATE
  SET done = excluded.done, total = excluded.total, progress_at = excluded.progress_at;
