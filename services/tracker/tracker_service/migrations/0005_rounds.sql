-- What a redrive changed, and every end of a round: both must be the same in whatever order the topics are folded.

CREATE TABLE muster.rounds (
    task_id          text COLLATE "C" NOT NULL,
    -- 1 and more; the first round stands in muster.tasks.
    redrive          smallint NOT NULL,
    task_type        text NOT NULL,
    began_at         timestamptz NOT NULL,
    parameters       text,
    parameters_bytes integer NOT NULL,
    PRIMARY KEY (task_id, redrive)
);

-- Attempts that ended in a dead letter stand here too: the end that another one outdid is not forgotten.
ALTER TABLE muster.attempts ADD COLUMN final boolean NOT NULL DEFAULT false;
ALTER TABLE muster.attempts DROP CONSTRAINT attempts_pkey;
ALTER TABLE muster.attempts ADD PRIMARY KEY (task_id, redrive, attempt, worker);
