WITH ended AS
  (UPDATE run_log
   SET status='SUCCESS', finished_at=pg_catalog.now(), total_records=%(in_total_records)s::BIGINT,
       changed_records=%(in_changed_records)s::BIGINT, created_alerts=%(in_created_alerts)s::BIGINT, retry_count=%(in_retry_count)s::BIGINT,
       error_message=NULL, updated_at=pg_catalog.now(), error_group=NULL, http_status_code=NULL, error_type=NULL,
       error_location=NULL, matched_by=NULL, alert_outcome='none', covered_by=NULL, error_reason=NULL,
       matched_depth=NULL, matched_rule=NULL
   WHERE run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid
     AND (run_log.status OPERATOR(pg_catalog.=) 'RUNNING'
          OR run_log.status OPERATOR(pg_catalog.=) 'FAILED'
          AND run_log.lost_at OPERATOR(pg_catalog.=) run_log.finished_at) RETURNING run_log.id),
     note AS
  (INSERT INTO run_note (run_key,
                  created_at, traceback, log_tail, context, links, done, total, progress_at) SELECT %(in_run_key)s::pg_catalog.uuid AS anon_1,
                                                                                                    pg_catalog.now() AS now_1,
                                                                                                    %(in_traceback)s::VARCHAR AS anon_2,
                                                                                                    %(in_log_tail)s::VARCHAR AS anon_3,
                                                                                                    %(in_context)s::pg_catalog.jsonb AS anon_4,
                                                                                                    %(in_links)s::pg_catalog.jsonb AS anon_5,
                                                                                                    %(in_done)s::BIGINT AS anon_6,
                                                                                                    %(in_total)s::BIGINT AS anon_7,
                                                                                                    CASE
                                                                                                        WHEN (%(in_done)s::BIGINT IS NOT NULL) THEN pg_catalog.now()
                                                                                                    END AS anon_8
   FROM ended ON CONFLICT (run_key) DO UPDATE
   SET traceback = coalesce(excluded.traceback, run_note.traceback), log_tail = coalesce(excluded.log_tail,

                                                                                  run_note.log_tail),
       context = coalesce(excluded.context, run_note.context), links = coalesce(excluded.links,
                                                                         run_note.links),
       done = coalesce(excluded.done, run_note.done), total = coalesce(excluded.total,
                                                                run_note.total),
       progress_at = coalesce(excluded.progress_at, run_note.progress_at))
SELECT ended.id
FROM ended;
