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
