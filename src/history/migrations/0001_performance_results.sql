CREATE TABLE schema_version (
    version    INTEGER NOT NULL,
    applied_at TIMESTAMP NOT NULL,
    tabfleet   VARCHAR NOT NULL
);

CREATE TABLE runs (
    run_id        BIGINT NOT NULL,
    command       VARCHAR NOT NULL,
    tabfleet      VARCHAR NOT NULL,
    started_at    TIMESTAMP NOT NULL,
    ended_at      TIMESTAMP,
    rows_recorded UBIGINT,
    rows_lost     UBIGINT,
    git_commit    VARCHAR,
    git_branch    VARCHAR,
    os            VARCHAR NOT NULL,
    arch          VARCHAR NOT NULL,
    cpu           VARCHAR,
    cores         UINTEGER NOT NULL,
    memory_bytes  UBIGINT
);

CREATE TABLE targets (
    run_id               BIGINT NOT NULL,
    target_id            UINTEGER NOT NULL,
    target               VARCHAR NOT NULL,
    browser              VARCHAR NOT NULL,
    backend              VARCHAR NOT NULL,
    available            BOOLEAN NOT NULL,
    reason               VARCHAR,
    product              VARCHAR,
    version              VARCHAR,
    headless             BOOLEAN,
    driver               VARCHAR,
    stand_in             BOOLEAN,
    adapter_vendor       VARCHAR,
    adapter_architecture VARCHAR,
    adapter_device       VARCHAR,
    adapter_description  VARCHAR,
    adapter_software     BOOLEAN,
    webnn_device         VARCHAR,
    runtime              VARCHAR,
    runtime_version      VARCHAR,
    threads              UINTEGER
);

CREATE TABLE performance_results (
    run_id       BIGINT NOT NULL,
    at           TIMESTAMP NOT NULL,
    job          UBIGINT NOT NULL,
    attempt      UINTEGER NOT NULL,
    tab          UBIGINT NOT NULL,
    target_id    UINTEGER,
    target       VARCHAR NOT NULL,
    model        VARCHAR NOT NULL,
    model_sha256 VARCHAR NOT NULL,
    family       VARCHAR NOT NULL,
    success      BOOLEAN NOT NULL,
    queue_ms     DOUBLE,
    download_ms  DOUBLE,
    create_ms    DOUBLE,
    run_ms       DOUBLE,
    readback_ms  DOUBLE,
    wire_ms      DOUBLE,
    total_ms     DOUBLE,
    elapsed_ms   DOUBLE,
    cpu_fallback BOOLEAN,
    category     VARCHAR,
    cause        VARCHAR,
    severity     VARCHAR,
    message      VARCHAR
);
