WITH silent_run AS
  (SELECT run_log.id AS id
   FROM run_log
   WHERE run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid
     AND run_log.status OPERATOR(pg_catalog.=) 'RUNNING'
     AND coalesce(run_log.heartbeat_at, run_log.started_at) OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) coalesce(run_log.lost_after_seconds OPERATOR(pg_catalog.*) interval '1 second', %(in_silent_for)s))
     FOR
     UPDATE SKIP LOCKED),
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
                  source_id, alert_type, last_alert_at) SELECT %(in_source_type)s::VARCHAR AS anon_1,
                                                               %(in_source_id)s::VARCHAR AS anon_2,
                                                               %(in_alert_type)s::VARCHAR AS anon_3, pg_catalog.now() AS now_1
   FROM silent_run
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
   SET status='FAILED', finished_at=pg_catalog.now(),
       created_alerts=(coalesce(run_log.created_alerts, 0) OPERATOR(pg_catalog.+)
                         (SELECT pg_catalog.count(*) AS count_1
                          FROM claimed)), error_message=%(in_error_message)s::VARCHAR, updated_at=pg_catalog.now(),
       error_group=%(in_error_group)s::VARCHAR, http_status_code=%(in_http_status_code)s::INTEGER,
       error_type=%(in_error_type)s::VARCHAR, error_location=%(in_error_location)s::VARCHAR, matched_by=%(in_matched_by)s::VARCHAR,
       alert_outcome=CASE
                         WHEN (
                                 (SELECT pg_catalog.count(*) AS count_2
                                  FROM claimed) OPERATOR(pg_catalog.=) 1) THEN 'raised' ELSE 'suppressed'
                     END, covered_by=CASE
                                         WHEN (
                                                 (SELECT pg_catalog.count(*) AS count_2
                                                  FROM claimed) OPERATOR(pg_catalog.=) 1) THEN NULL ELSE
                                                (SELECT covering.id
                                                 FROM covering)
                                     END, cooldown_seconds=%(in_cooldown_seconds)s::INTEGER,
                                     lost_at=pg_catalog.now(), error_reason=%(in_error_reason)s::VARCHAR,
                                     matched_depth=%(in_matched_depth)s::INTEGER, matched_rule=%(in_matched_rule)s::INTEGER,
                                     upstream=%(in_upstream)s::VARCHAR
   FROM silent_run
   WHERE run_log.id OPERATOR(pg_catalog.=) silent_run.id
     AND run_log.run_key OPERATOR(pg_catalog.=) %(in_run_key)s::pg_catalog.uuid RETURNING run_log.id),
     freed AS
  (UPDATE job_lock
   SET lock_expires_at=timestamptz '1970-01-01 00:00:00+00'
   WHERE job_lock.job_name OPERATOR(pg_catalog.=) %(in_job_name)s::VARCHAR
     AND job_lock.locked_by OPERATOR(pg_catalog.=) %(in_locked_by)s::VARCHAR
     AND (EXISTS
            (SELECT 1
             FROM ended))),
     raised AS
  (INSERT INTO alert (source_type,
                  source_id, alert_type, severity, title, message, detail, review_status, resolved,
                  created_at, alert_key) SELECT %(in_source_type)s::VARCHAR AS anon_4, %(in_source_id)s::VARCHAR AS anon_5,
                                                %(in_alert_type)s::VARCHAR AS anon_6, %(in_severity)s::VARCHAR AS anon_7,
                                                %(in_title)s::VARCHAR AS anon_8, %(in_message)s::VARCHAR AS anon_9,
                                                %(in_detail)s::pg_catalog.jsonb OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('run_id',

                                                                                                                     silent_run.id) AS anon_10, 'AUTO',
                                                                                false,
                                                                                claimed.last_alert_at AS last_alert_at,
                                                                                %(in_alert_key)s::pg_catalog.uuid AS anon_11
   FROM claimed
   JOIN silent_run ON true RETURNING alert.id)
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
