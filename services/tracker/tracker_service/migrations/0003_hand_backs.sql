-- Deliveries that a leaving worker gave back: without this they would look like deliveries that were lost with it.
CREATE TABLE muster.hand_backs (
    task_id  text COLLATE "C" NOT NULL,
    redrive  smallint NOT NULL,
    attempt  smallint NOT NULL,
    delivery smallint NOT NULL,
    worker   text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (task_id, redrive, attempt, delivery, worker)
);
