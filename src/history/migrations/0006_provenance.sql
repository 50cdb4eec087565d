ALTER TABLE runs ADD COLUMN build VARCHAR;
ALTER TABLE runs ADD COLUMN host_name VARCHAR;
ALTER TABLE daily_sketches ADD COLUMN model_sha256 VARCHAR;
ALTER TABLE trend_analysis ADD COLUMN p_adjusted DOUBLE;
ALTER TABLE imports ADD COLUMN run VARCHAR;

CREATE OR REPLACE VIEW browser_health AS
SELECT run_id, happened_at, split_part(split_part(target, '/', 1), '@', 1) AS browser, tab, target, success, category,
    cause, message
FROM health_checks;
