CREATE VIEW browser_health AS
SELECT run_id, happened_at, split_part(target, '/', 1) AS browser, tab, target, success, category, cause, message
FROM health_checks;
