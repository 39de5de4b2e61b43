SELECT alert.id, alert.created_at
FROM alert
WHERE alert.source_type = ?
  AND alert.source_id = ?
  AND alert.alert_type = ?
  AND alert.created_at >= strftime('%Y-%m-%d %H:%M:%f', 'now', (?) || ' seconds')
  AND alert.created_at <= strftime('%Y-%m-%d %H:%M:%f',
                            'now', (60) || ' seconds')
ORDER BY alert.created_at DESC
LIMIT 1
OFFSET 0;

SELECT alert_cooldown.last_alert_at
FROM alert_cooldown
WHERE alert_cooldown.source_type = ?
  AND alert_cooldown.source_id = ?
  AND alert_cooldown.alert_type = ?
  AND alert_cooldown.last_alert_at >= strftime('%Y-%m-%d %H:%M:%f',
                                        'now', (?) || ' seconds')
  AND alert_cooldown.last_alert_at <= strftime('%Y-%m-%d %H:%M:%f',
                                        'now', (60) || ' seconds');

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

INSERT INTO alert (source_type,
               source_id, alert_type, severity, title, message, detail, review_status, resolved,
               created_at, alert_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce((SELECT run_log.finished_at FROM run_log WHERE run_log.id = ?), (strftime('%Y-%m-%d %H:%M:%f', 'now'))), ?) ON CONFLICT (alert_key) DO NOTHING RETURNING id,
                                                                                                                                                                                                     created_at;

INSERT INTO alert_cooldown (source_type,
               source_id, alert_type, last_alert_at)
VALUES (?, ?, ?, ?) ON CONFLICT (source_type, source_id, alert_type) DO
UPDATE
SET last_alert_at = excluded.last_alert_at;
