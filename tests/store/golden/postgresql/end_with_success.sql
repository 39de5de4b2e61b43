UPDATE run_log
SET status='SUCCESS', finished_at=pg_catalog.now(), total_records=%(in_total_records)s::BIGINT,
    changed_records=%(in_changed_records)s::BIGINT, created_alerts=%(in_created_alerts)s::BIGINT, retry_count=%(in_retry_count)s::BIGINT,
    error_message=NULL, updated_at=pg_catalog.now(), error_group=NULL, http_status_code=NULL, error_type=NULL,
    error_location=NULL, matched_by=NULL, alert_outcome='none', covered_by=NULL, error_reason=NULL,
    matched_depth=NULL, matched_rule=NULL
WHERE run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid
  AND (run_log.status OPERATOR(pg_catalog.=) 'RUNNING'
       OR run_log.status OPERATOR(pg_catalog.=) 'FAILED'
       AND run_log.lost_at OPERATOR(pg_catalog.=) run_log.finished_at) RETURNING run_log.id;
