WITH new_alert AS
  (SELECT 1 AS one
   WHERE NOT (EXISTS
                (SELECT 1
                 FROM alert
                 WHERE alert.alert_key OPERATOR(pg_catalog.=) %(in_alert_key)s::pg_catalog.uuid))),
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
                                                               %(in_alert_type)s::VARCHAR AS anon_11, pg_catalog.now() AS now_1
   FROM new_alert
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
     raised AS
  (INSERT INTO alert (source_type,
                  source_id, alert_type, severity, title, message, detail, review_status, resolved,
                  created_at, alert_key) SELECT %(in_source_type)s::VARCHAR AS anon_1, %(in_source_id)s::VARCHAR AS anon_2,
                                                %(in_alert_type)s::VARCHAR AS anon_3, %(in_severity)s::VARCHAR AS anon_4,
                                                %(in_title)s::VARCHAR AS anon_5, %(in_message)s::VARCHAR AS anon_6,
                                                %(in_detail)s::pg_catalog.jsonb AS anon_7, 'AUTO', false,
                                                claimed.last_alert_at AS last_alert_at, %(in_alert_key)s::pg_catalog.uuid AS anon_8
   FROM claimed RETURNING alert.id)
SELECT NULL AS run_id,
  (SELECT raised.id
   FROM raised) AS raised_id,

  (SELECT covering.id
   FROM covering) AS covering_id,
       greatest(
                  (SELECT covering.created_at
                   FROM covering),
                  (SELECT guarded.last_alert_at
                   FROM guarded)) AS last_alert_at;
