UPDATE run_log
SET status='FAILED', finished_at=pg_catalog.now(), total_records=%(in_total_records)s::BIGINT,
    changed_records=%(in_changed_records)s::BIGINT, created_alerts=%(in_created_alerts)s::BIGINT, retry_count=%(in_retry_count)s::BIGINT,
    error_message=%(in_error_message)s::VARCHAR, updated_at=pg_catalog.now(), error_group=%(in_error_group)s::VARCHAR,
    http_status_code=%(in_http_status_code)s::INTEGER, error_type=%(in_error_type)s::VARCHAR, error_location=%(in_error_location)s::VARCHAR,
    matched_by=%(in_matched_by)s::VARCHAR, alert_outcome='excluded', cooldown_seconds=%(in_cooldown_seconds)s::INTEGER,
    error_reason=%(in_error_reason)s::VARCHAR, matched_depth=%(in_matched_depth)s::INTEGER, matched_rule=%(in_matched_rule)s::INTEGER,
    upstream=%(in_upstream)s::VARCHAR
WHERE run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid
  AND (run_log.status OPERATOR(pg_catalog.=) 'RUNNING'
       OR run_log.status OPERATOR(pg_catalog.=) 'FAILED'
       AND run_log.lost_at OPERATOR(pg_catalog.=) run_log.finished_at) RETURNING run_log.id;
