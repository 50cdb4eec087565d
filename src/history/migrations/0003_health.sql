CREATE TABLE breaker_events (
    run_id       BIGINT NOT NULL,
    happened_at  TIMESTAMP NOT NULL,
    target       VARCHAR NOT NULL,
    model        VARCHAR,
    model_sha256 VARCHAR,
    from_state   VARCHAR NOT NULL,
    to_state     VARCHAR NOT NULL,
    reason       VARCHAR NOT NULL,
    wait_ms      DOUBLE
);

CREATE TABLE recoveries (
    run_id      BIGINT NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    browser     VARCHAR NOT NULL,
    target      VARCHAR,
    tab         UBIGINT,
    job         UBIGINT,
    category    VARCHAR NOT NULL,
    cause       VARCHAR NOT NULL,
    message     VARCHAR NOT NULL,
    strategy    VARCHAR NOT NULL,
    succeeded   BOOLEAN NOT NULL,
    elapsed_ms  DOUBLE NOT NULL
);

CREATE TABLE health_checks (
    run_id      BIGINT NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    tab         UBIGINT NOT NULL,
    target      VARCHAR NOT NULL,
    success     BOOLEAN NOT NULL,
    category    VARCHAR,
    cause       VARCHAR,
    message     VARCHAR
);
