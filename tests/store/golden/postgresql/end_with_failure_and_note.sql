WITH open_run AS
  (SELECT run_log.id AS id
   FROM run_log
   WHERE run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid
     AND (run_log.status OPERATOR(pg_catalog.=) 'RUNNING'
          OR run_log.status OPERATOR(pg_catalog.=) 'FAILED'
          AND run_log.lost_at OPERATOR(pg_catalog.=) run_log.finished_at)
     FOR
     UPDATE),
     covering AS
  (SELECT alert.id AS id, alert.created_at AS created_at
   FROM alert
   WHERE alert.source_type OPERATOR(pg_catalog.=) %(in_source_type)s::VARCHAR
     AND alert.source_id OPERATOR(pg_catalog.=) %(in_source_id)s::VARCHAR
     AND alert.alert_type OPERATOR(pg_catalog.=) %(in_alert_type)s::VARCHAR
     AND alert.created_at OPERATOR(pg_catalog.>=) (pg_catalog.now() OPERATOR(pg_catalog.-) %(in_cooldown)s)
     AND alert.created_at OPERATOR(pg_catalog.<=) (pg_catalog.now() OPERATOR(pg_catalog.+) interval '1 minute')
     AND interval '0' OPERATOR(pg_catalog.<>) %(in_cooldown)s
   ORDER BY alert.created_at DESC
   LIMIT 1),
     guarded AS
  (SELECT alert_cooldown.last_alert_at AS last_alert_at
   FROM alert_cooldown
   WHERE alert_cooldown.source_type OPERATOR(pg_catalog.=) %(in_source_type)s::VARCHAR
     AND alert_cooldown.source_id OPERATOR(pg_catalog.=) %(in_source_id)s::VARCHAR
     AND alert_cooldown.alert_type OPERATOR(pg_catalog.=) %(in_alert_type)s::VARCHAR
     AND alert_cooldown.last_alert_at OPERATOR(pg_catalog.>=) (pg_catalog.now() OPERATOR(pg_catalog.-) %(in_cooldown)s)
     AND alert_cooldown.last_alert_at OPERATOR(pg_catalog.<=) (pg_catalog.now() OPERATOR(pg_catalog.+) interval '1 minute')
     AND interval '0' OPERATOR(pg_catalog.<>) %(in_cooldown)s),
     claimed AS
  (INSERT INTO alert_cooldown (source_type,
                  source_id, alert_type, last_alert_at) SELECT %(in_source_type)s::VARCHAR AS anon_9,
                                                               %(in_source_id)s::VARCHAR AS anon_10,
                                                               %(in_alert_type)s::VARCHAR AS anon_11, pg_catalog.now() AS now_2
   FROM open_run
   WHERE NOT (EXISTS
                (SELECT 1
                 FROM covering))
     AND NOT (EXISTS
                (SELECT 1
                 FROM guarded)) ON CONFLICT (source_type, source_id, alert_type) DO
     UPDATE
     SET last_alert_at = greatest(CASE
                                      WHEN (alert_cooldown.last_alert_at OPERATOR(pg_catalog.<=) (pg_catalog.now() OPERATOR(pg_catalog.+) interval '1 minute')) THEN alert_cooldown.last_alert_at
                                  END, pg_catalog.now()) WHERE interval '0' OPERATOR(pg_catalog.=) %(in_cooldown)s
     OR alert_cooldown.last_alert_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) %(in_cooldown)s)
     OR alert_cooldown.last_alert_at OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.+) interval '1 minute') RETURNING alert_cooldown.last_alert_at),
     ended AS
  (UPDATE run_log
   SET status='FAILED', finished_at=pg_catalog.now(), total_records=%(in_total_records)s::BIGINT,
       changed_records=%(in_changed_records)s::BIGINT,
       created_alerts=(%(in_created_alerts)s::BIGINT OPERATOR(pg_catalog.+)
                         (SELECT pg_catalog.count(*) AS count_1
                          FROM claimed)), retry_count=%(in_retry_count)s::BIGINT, error_message=%(in_error_message)s::VARCHAR,
       updated_at=pg_catalog.now(), error_group=%(in_error_group)s::VARCHAR,
       http_status_code=%(in_http_status_code)s::INTEGER, error_type=%(in_error_type)s::VARCHAR, error_location=%(in_error_location)s::VARCHAR,
       matched_by=%(in_matched_by)s::VARCHAR, alert_outcome=CASE
                                                                WHEN (
                                                                        (SELECT pg_catalog.count(*) AS count_1
                                                                         FROM claimed) OPERATOR(pg_catalog.=) 1) THEN 'raised' ELSE 'suppressed'
                                                            END, covered_by=CASE
                                                                                WHEN (
                                                                                        (SELECT pg_catalog.count(*) AS count_1
                                                                                         FROM claimed) OPERATOR(pg_catalog.=) 1) THEN NULL
                                                                                ELSE
                                                                                       (SELECT covering.id
                                                                                        FROM covering)
                                                                            END,
                                                                            cooldown_seconds=%(in_cooldown_seconds)s::INTEGER,
                                                                            error_reason=%(in_error_reason)s::VARCHAR,
                                                                            matched_depth=%(in_matched_depth)s::INTEGER,
                                                                            matched_rule=%(in_matched_rule)s::INTEGER,
                                                                            upstream=%(in_upstream)s::VARCHAR
   FROM open_run
   WHERE run_log.id OPERATOR(pg_catalog.=) open_run.id
     AND run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid RETURNING run_log.id),
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
       progress_at = coalesce(excluded.progress_at, run_note.progress_at)),
     raised AS
  (INSERT INTO alert (source_type,
                  source_id, alert_type, severity, title, message, detail, review_status, resolved,
                  created_at, alert_key) SELECT %(in_source_type)s::VARCHAR AS anon_12, %(in_source_id)s::VARCHAR AS anon_13,
                                                %(in_alert_type)s::VARCHAR AS anon_14, %(in_severity)s::VARCHAR AS anon_15,
                                                %(in_title)s::VARCHAR AS anon_16, %(in_message)s::VARCHAR AS anon_17,
                                                %(in_detail)s::pg_catalog.jsonb OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('run_id',

                                                                                                                     ended.id) AS anon_18, 'AUTO',
                                                                                false,
                                                                                claimed.last_alert_at AS last_alert_at,
                                                                                %(in_alert_key)s::pg_catalog.uuid AS anon_19
   FROM claimed
   JOIN ended ON true RETURNING alert.id)
SELECT
  (SELECT ended.id
   FROM ended) AS run_id,
  (SELECT raised.id
   FROM raised) AS raised_id,

  (SELECT covering.id
   FROM covering) AS covering_id,
       greatest(
                  (SELECT covering.created_at
                   FROM covering),
                  (SELECT guarded.last_alert_at
                   FROM guarded)) AS last_alert_at;
