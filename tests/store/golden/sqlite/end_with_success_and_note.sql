UPDATE run_log
SET status=?, finished_at=(strftime('%Y-%m-%d %H:%M:%f', 'now')), total_records=?, changed_records=?,
    created_alerts=?, retry_count=?, error_message=?, updated_at=(strftime('%Y-%m-%d %H:%M:%f',
                                                                    'now')),
    error_group=?, http_status_code=?, error_type=?, error_location=?, matched_by=?, alert_outcome=?,
    covered_by=?, cooldown_seconds=coalesce(?,
                                     run_log.cooldown_seconds), error_reason=?, matched_depth=?,
    matched_rule=?, upstream=?
WHERE run_log.run_key = ?
  AND (run_log.status = ?
       OR run_log.status = ?
       AND run_log.lost_at = run_log.finished_at) RETURNING id;

INSERT INTO run_note (run_key,
               created_at, traceback, log_tail, context, links, done, total, progress_at)
VALUES (?, (strftime('%Y-%m-%d %H:%M:%f', 'now')), ?, ?, ?, ?, ?, ?, CASE WHEN (? IS NOT NULL) THEN (strftime('%Y-%m-%d %H:%M:%f', 'now')) END) ON CONFLICT (run_key) DO
UPDATE
SET traceback = coalesce(excluded.traceback, run_note.traceback), log_tail = coalesce(excluded.log_tail,

                                                                               run_note.log_tail),
    context = coalesce(excluded.context, run_note.context), links = coalesce(excluded.links,
                                                                      run_note.links),
    done = coalesce(excluded.done, run_note.done), total = coalesce(excluded.total,
                                                             run_note.total),
    progress_at = coalesce(excluded.progress_at, run_note.progress_at);
