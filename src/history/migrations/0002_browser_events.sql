CREATE TABLE browser_events (
    run_id     BIGINT NOT NULL,
    at         TIMESTAMP NOT NULL,
    event      VARCHAR NOT NULL,
    browser    VARCHAR,
    browser_id UBIGINT,
    tab        UBIGINT,
    target     VARCHAR,
    product    VARCHAR,
    version    VARCHAR,
    category   VARCHAR,
    cause      VARCHAR,
    severity   VARCHAR,
    message    VARCHAR
);
