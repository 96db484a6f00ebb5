-- What the alerts know. Everything about one batch of dead letters changes in one transaction, its offsets included.

-- One row: who reads dead letters. Every write compares and raises `version`, so that of two only one can write.
CREATE TABLE muster.alert_cursor (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    version    bigint NOT NULL DEFAULT 0,
    holder     text NOT NULL DEFAULT '',
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    turned_at  timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO muster.alert_cursor DEFAULT VALUES;

CREATE TABLE muster.alert_offsets (
    topic       text NOT NULL,
    "partition" integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, "partition")
);

-- One cause in one task type. What the columns mean is said in notify_service/domain/alerting.py.
CREATE TABLE muster.alert_groups (
    key         text PRIMARY KEY,
    service     text NOT NULL,
    task        text NOT NULL,
    kind        text NOT NULL,
    error       text NOT NULL,
    phase       text NOT NULL,
    first_seen  timestamptz NOT NULL,
    last_seen   timestamptz NOT NULL,
    anchor      timestamptz NOT NULL,
    episode     integer NOT NULL,
    total       bigint NOT NULL,
    in_episode  bigint NOT NULL,
    pending     bigint NOT NULL,
    window_ends timestamptz,
    muted       bigint NOT NULL,
    escalated   boolean NOT NULL,
    told        integer NOT NULL,
    message     text NOT NULL,
    attempts    integer NOT NULL,
    task_id     text NOT NULL,
    -- When something is to be done without another failure.
    due_at      timestamptz
);
CREATE INDEX alert_groups_due ON muster.alert_groups (due_at) WHERE due_at IS NOT NULL;

-- What was told. `facts` hold no personal data: the error's text was redacted before it became a dead letter.
CREATE TABLE muster.alerts (
    id        uuid PRIMARY KEY,
    kind      text NOT NULL,
    severity  text NOT NULL,
    group_key text NOT NULL,
    facts     jsonb NOT NULL,
    at        timestamptz NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alerts_made ON muster.alerts (made_at);

-- To whom by which way: `user:<users.id>`, or the digest of a webhook's address. Addresses are looked up when sending.
CREATE TABLE muster.alert_deliveries (
    alert_id   uuid NOT NULL REFERENCES muster.alerts (id) ON DELETE CASCADE,
    channel    text NOT NULL,
    recipient  text NOT NULL,
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'sent', 'refused', 'expired')),
    tries      integer NOT NULL DEFAULT 0,
    next_try   timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    sent_at    timestamptz,
    error      text,
    PRIMARY KEY (alert_id, channel, recipient)
);
CREATE INDEX alert_deliveries_due ON muster.alert_deliveries (next_try) WHERE state = 'open';

CREATE TABLE muster.alert_pulses (
    part         text PRIMARY KEY,
    silent_since timestamptz,
    told_at      timestamptz,
    told         integer NOT NULL
);
