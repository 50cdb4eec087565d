ALTER TABLE runs ADD COLUMN origin VARCHAR DEFAULT 'recorded';
ALTER TABLE runs ADD COLUMN attempts_rolled_up UBIGINT DEFAULT 0;
ALTER TABLE runs ADD COLUMN failures_rolled_up UBIGINT DEFAULT 0;
ALTER TABLE runs ALTER COLUMN tabfleet DROP NOT NULL;
ALTER TABLE runs ALTER COLUMN os DROP NOT NULL;
ALTER TABLE runs ALTER COLUMN arch DROP NOT NULL;
ALTER TABLE runs ALTER COLUMN cores DROP NOT NULL;

ALTER TABLE targets ALTER COLUMN browser DROP NOT NULL;
ALTER TABLE targets ALTER COLUMN backend DROP NOT NULL;

ALTER TABLE performance_results ADD COLUMN operation VARCHAR DEFAULT 'infer';
ALTER TABLE performance_results ADD COLUMN batch UINTEGER;
ALTER TABLE performance_results ADD COLUMN precision VARCHAR;
ALTER TABLE performance_results ADD COLUMN memory_bytes UBIGINT;
ALTER TABLE performance_results ADD COLUMN throughput_per_s DOUBLE;
ALTER TABLE performance_results ALTER COLUMN tab DROP NOT NULL;
ALTER TABLE performance_results ALTER COLUMN model_sha256 DROP NOT NULL;
ALTER TABLE performance_results ALTER COLUMN family DROP NOT NULL;

CREATE TABLE daily_sketches (
    day         DATE NOT NULL,
    run_id      BIGINT NOT NULL,
    target_id   UINTEGER,
    target      VARCHAR NOT NULL,
    model       VARCHAR NOT NULL,
    operation   VARCHAR NOT NULL,
    batch       UINTEGER,
    precision   VARCHAR,
    metric      VARCHAR NOT NULL,
    first_at    TIMESTAMP NOT NULL,
    attempts    UBIGINT NOT NULL,
    failures    UBIGINT NOT NULL,
    count       UBIGINT NOT NULL,
    min         DOUBLE NOT NULL,
    max         DOUBLE NOT NULL,
    mean        DOUBLE NOT NULL,
    median      DOUBLE NOT NULL,
    quantiles   DOUBLE[] NOT NULL
);

CREATE TABLE regression_history (
    found_at          TIMESTAMP NOT NULL,
    run_id            BIGINT NOT NULL,
    model             VARCHAR NOT NULL,
    operation         VARCHAR NOT NULL,
    batch             UINTEGER,
    precision         VARCHAR,
    target            VARCHAR NOT NULL,
    adapter           VARCHAR,
    host              VARCHAR,
    metric            VARCHAR NOT NULL,
    baseline          VARCHAR,
    baseline_samples  UBIGINT NOT NULL,
    candidate_samples UBIGINT NOT NULL,
    baseline_median   DOUBLE NOT NULL,
    candidate_median  DOUBLE NOT NULL,
    shift             DOUBLE NOT NULL,
    shift_low         DOUBLE,
    shift_high        DOUBLE,
    shift_percent     DOUBLE NOT NULL,
    p_value           DOUBLE NOT NULL,
    p_adjusted        DOUBLE NOT NULL,
    direction         VARCHAR NOT NULL,
    severity          VARCHAR NOT NULL,
    environment       VARCHAR[],
    git_commit        VARCHAR
);

CREATE TABLE trend_analysis (
    analysed_at   TIMESTAMP NOT NULL,
    model         VARCHAR NOT NULL,
    operation     VARCHAR NOT NULL,
    batch         UINTEGER,
    precision     VARCHAR,
    target        VARCHAR NOT NULL,
    adapter       VARCHAR,
    host          VARCHAR,
    metric        VARCHAR NOT NULL,
    points        UBIGINT NOT NULL,
    first_at      TIMESTAMP NOT NULL,
    last_at       TIMESTAMP NOT NULL,
    slope_per_day DOUBLE NOT NULL,
    slope_low     DOUBLE,
    slope_high    DOUBLE,
    p_value       DOUBLE NOT NULL,
    direction     VARCHAR NOT NULL
);

CREATE TABLE browser_recommendations (
    recommended_at TIMESTAMP NOT NULL,
    model          VARCHAR,
    family         VARCHAR,
    host           VARCHAR,
    target         VARCHAR NOT NULL,
    adapter        VARCHAR,
    runner_up      VARCHAR,
    tie            BOOLEAN NOT NULL,
    confidence     DOUBLE NOT NULL,
    effect_size    DOUBLE,
    p_value        DOUBLE,
    median_ms      DOUBLE NOT NULL,
    samples        UBIGINT NOT NULL,
    attempts       UBIGINT NOT NULL,
    failures       UBIGINT NOT NULL,
    last_at        TIMESTAMP NOT NULL,
    reason         VARCHAR NOT NULL
);

CREATE TABLE baselines (
    name    VARCHAR NOT NULL,
    set_at  TIMESTAMP NOT NULL,
    run_ids BIGINT[] NOT NULL
);

CREATE TABLE imports (
    digest      VARCHAR NOT NULL,
    imported_at TIMESTAMP NOT NULL,
    kind        VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    run_ids     BIGINT[] NOT NULL
);
