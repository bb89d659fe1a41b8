"""Create all tables."""

from alembic import op

revision = "0001"
down_revision = None

TYPES = {
    "sqlite": {"id": "INTEGER", "reference": "INTEGER", "double": "DOUBLE", "blob": "BLOB"},
    "postgresql": {"id": "BIGSERIAL", "reference": "BIGINT", "double": "DOUBLE PRECISION", "blob": "BYTEA"},
}

TABLES = """
CREATE TABLE channel (
    ref TEXT NOT NULL, slack_id TEXT, canonical_ref TEXT, facts TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, retry_at {double}, unread_since {double},
    CONSTRAINT pk_channel PRIMARY KEY (ref),
    CONSTRAINT ck_channel_state CHECK (state IN ('new', 'open', 'rejected')),
    CONSTRAINT ck_channel_open_has_slack_id CHECK (state <> 'open' OR slack_id IS NOT NULL),
    CONSTRAINT ck_channel_canonical_ref_is_another CHECK (canonical_ref IS NULL OR canonical_ref <> ref),
    CONSTRAINT fk_channel_canonical_ref FOREIGN KEY(canonical_ref) REFERENCES channel (ref)
);
CREATE INDEX ix_channel_canonical_ref ON channel (canonical_ref) WHERE canonical_ref IS NOT NULL;
CREATE UNIQUE INDEX uq_channel_slack_id ON channel (slack_id) WHERE canonical_ref IS NULL;

CREATE TABLE configuration (
    id {id} NOT NULL, hash TEXT NOT NULL, saved_at {double} NOT NULL, routes TEXT NOT NULL,
    templates TEXT NOT NULL,
    CONSTRAINT pk_configuration PRIMARY KEY (id),
    CONSTRAINT uq_configuration_hash UNIQUE (hash)
);

CREATE TABLE health_probe (
    id INTEGER NOT NULL, writes BIGINT NOT NULL, padding {blob} NOT NULL,
    CONSTRAINT pk_health_probe PRIMARY KEY (id),
    CONSTRAINT ck_health_probe_single_row CHECK (id = 1)
);

CREATE TABLE installation (
    id INTEGER NOT NULL, marker_secret TEXT NOT NULL, team_id TEXT, team TEXT, bot_id TEXT,
    adopt_since {double},
    CONSTRAINT pk_installation PRIMARY KEY (id),
    CONSTRAINT ck_installation_single_row CHECK (id = 1)
);

CREATE TABLE incident (
    id TEXT NOT NULL, version BIGINT NOT NULL, episode INTEGER NOT NULL, ended_at {double},
    next_seq INTEGER NOT NULL, last_share_at {double} NOT NULL, stub BOOLEAN NOT NULL, record TEXT NOT NULL,
    stale_at {double}, state TEXT NOT NULL, shared_at {double}, assigned_at {double}, resolved_at {double},
    CONSTRAINT ck_incident_state CHECK (state IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')),
    CONSTRAINT pk_incident PRIMARY KEY (id),
    CONSTRAINT ck_incident_version CHECK (version >= 0),
    CONSTRAINT ck_incident_episode CHECK (episode >= 1),
    CONSTRAINT ck_incident_next_seq CHECK (next_seq >= 1)
);
CREATE INDEX ix_incident_ended_at ON incident (ended_at) WHERE ended_at IS NOT NULL AND NOT stub;
CREATE INDEX ix_incident_last_share_at ON incident (last_share_at);
CREATE INDEX ix_incident_open ON incident (state, last_share_at DESC, id DESC) WHERE ended_at IS NULL;
CREATE INDEX ix_incident_stale_at ON incident (stale_at) WHERE stale_at IS NOT NULL;

CREATE TABLE lease (
    name TEXT NOT NULL, holder TEXT NOT NULL, epoch BIGINT NOT NULL, until {double} NOT NULL,
    CONSTRAINT pk_lease PRIMARY KEY (name),
    CONSTRAINT ck_lease_epoch CHECK (epoch >= 1)
);

CREATE TABLE mute (
    id {id} NOT NULL, match_text TEXT NOT NULL, incident TEXT NOT NULL, routes TEXT NOT NULL,
    start_at {double} NOT NULL, end_at {double} NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL,
    origin TEXT NOT NULL, unless TEXT, created {double} NOT NULL, ended_by TEXT NOT NULL,
    applied TEXT NOT NULL,
    CONSTRAINT pk_mute PRIMARY KEY (id),
    CONSTRAINT ck_mute_unless CHECK (unless IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical'))
);
CREATE INDEX ix_mute_end_at ON mute (end_at);

CREATE TABLE quarantine (
    id {id} NOT NULL, received {double} NOT NULL, reason TEXT NOT NULL, headers TEXT NOT NULL,
    size INTEGER NOT NULL, body {blob} NOT NULL,
    CONSTRAINT pk_quarantine PRIMARY KEY (id)
);

CREATE TABLE notice (
    kind TEXT NOT NULL, digest TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL, opened_at {double} NOT NULL,
    CONSTRAINT pk_notice PRIMARY KEY (kind)
);

CREATE TABLE tag_definition (
    id TEXT NOT NULL, data TEXT NOT NULL, fetched_at {double} NOT NULL,
    CONSTRAINT pk_tag_definition PRIMARY KEY (id)
);

CREATE TABLE bigpanda_task (
    id {id} NOT NULL, "key" TEXT NOT NULL, kind TEXT NOT NULL, incident TEXT NOT NULL, payload TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, due_at {double}, tries INTEGER NOT NULL,
    created {double} NOT NULL,
    CONSTRAINT pk_bigpanda_task PRIMARY KEY (id),
    CONSTRAINT ck_bigpanda_task_kind CHECK (kind IN ('callback', 'assign', 'comment', 'snooze',
        'unassign', 'end_snooze', 'resolve', 'reply', 'check')),
    CONSTRAINT ck_bigpanda_task_state CHECK (state IN ('in_flight', 'waiting', 'in_doubt', 'done',
        'dropped', 'rejected')),
    CONSTRAINT ck_bigpanda_task_tries CHECK (tries >= 0),
    CONSTRAINT ck_bigpanda_task_closed_is_not_due CHECK (due_at IS NULL OR state IN ('in_flight',
        'waiting', 'in_doubt')),
    CONSTRAINT uq_bigpanda_task_key UNIQUE ("key"),
    CONSTRAINT fk_bigpanda_task_incident FOREIGN KEY(incident) REFERENCES incident (id)
);
CREATE INDEX ix_bigpanda_task_due_at ON bigpanda_task (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ix_bigpanda_task_in_flight ON bigpanda_task (id) WHERE state = 'in_flight';
CREATE INDEX ix_bigpanda_task_incident ON bigpanda_task (incident);

CREATE TABLE card (
    id {id} NOT NULL, incident TEXT NOT NULL, channel TEXT NOT NULL, episode INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, route TEXT NOT NULL, matched BOOLEAN NOT NULL,
    first_matched_at {double} NOT NULL, generation INTEGER NOT NULL, ts TEXT, slack_channel TEXT,
    shown_hash TEXT NOT NULL, reported_seq INTEGER NOT NULL, worst TEXT, episode_worst TEXT,
    shown_ended_at {double}, pinged TEXT NOT NULL, reopening_pinged_at {double}, previous TEXT,
    notices TEXT NOT NULL, reposted_at TEXT NOT NULL, root_seq INTEGER NOT NULL, edited_at {double},
    edit_in_doubt_until {double}, pending_since {double}, tries INTEGER NOT NULL,
    thread_unread BOOLEAN NOT NULL, broadcasts TEXT NOT NULL, post_due {double},
    post_deadline {double}, post_since {double}, post_urgent BOOLEAN NOT NULL, edit_due {double},
    edit_deadline {double}, edit_since {double}, edit_urgent BOOLEAN NOT NULL, options TEXT NOT NULL,
    mention TEXT NOT NULL, reopening_reported_at {double},
    CONSTRAINT pk_card PRIMARY KEY (id),
    CONSTRAINT uq_card_incident_channel_episode UNIQUE (incident, channel, episode),
    CONSTRAINT uq_card_channel_ts UNIQUE (channel, ts),
    CONSTRAINT ck_card_episode CHECK (episode >= 1),
    CONSTRAINT ck_card_generation CHECK (generation >= 0),
    CONSTRAINT ck_card_reported_seq CHECK (reported_seq >= 0),
    CONSTRAINT ck_card_root_seq CHECK (root_seq >= 0),
    CONSTRAINT ck_card_tries CHECK (tries >= 0),
    CONSTRAINT ck_card_state CHECK (state IN ('pending', 'posting', 'posted', 'in_doubt', 'rejected',
        'cancelled', 'superseded')),
    CONSTRAINT ck_card_worst CHECK (worst IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')),
    CONSTRAINT ck_card_episode_worst CHECK (episode_worst IN ('resolved', 'unknown', 'acknowledged',
        'warning', 'critical')),
    CONSTRAINT ck_card_posted_has_ts CHECK (state <> 'posted' OR ts IS NOT NULL),
    CONSTRAINT ck_card_unposted_has_no_ts CHECK (ts IS NULL OR state NOT IN ('pending', 'posting',
        'in_doubt', 'cancelled')),
    CONSTRAINT ck_card_ts_has_slack_channel CHECK (ts IS NULL OR slack_channel IS NOT NULL),
    CONSTRAINT ck_card_superseded_has_no_work CHECK (state <> 'superseded' OR (post_due IS NULL
        AND edit_due IS NULL)),
    CONSTRAINT ck_card_post_due CHECK ((post_due IS NULL) = (post_deadline IS NULL)
        AND (post_due IS NULL) = (post_since IS NULL) AND (post_due IS NOT NULL OR NOT post_urgent)),
    CONSTRAINT ck_card_edit_due CHECK ((edit_due IS NULL) = (edit_deadline IS NULL)
        AND (edit_due IS NULL) = (edit_since IS NULL) AND (edit_due IS NOT NULL OR NOT edit_urgent)),
    CONSTRAINT fk_card_incident FOREIGN KEY(incident) REFERENCES incident (id),
    CONSTRAINT fk_card_channel FOREIGN KEY(channel) REFERENCES channel (ref)
);
CREATE INDEX ix_card_edit_channel ON card (channel, edit_urgent DESC, edit_deadline, id)
    WHERE edit_due IS NOT NULL;
CREATE INDEX ix_card_edit_due ON card (edit_due) WHERE edit_due IS NOT NULL;
CREATE INDEX ix_card_edit_order ON card (edit_urgent DESC, edit_deadline, id) WHERE edit_due IS NOT NULL;
CREATE INDEX ix_card_edit_since ON card (edit_since, id) WHERE edit_due IS NOT NULL;
CREATE INDEX ix_card_post_channel ON card (channel, post_urgent DESC, post_deadline, id)
    WHERE post_due IS NOT NULL;
CREATE INDEX ix_card_post_due ON card (post_due) WHERE post_due IS NOT NULL;
CREATE INDEX ix_card_post_order ON card (post_urgent DESC, post_deadline, id) WHERE post_due IS NOT NULL;
CREATE INDEX ix_card_post_since ON card (post_since, id) WHERE post_due IS NOT NULL;
CREATE INDEX ix_card_ts ON card (ts) WHERE ts IS NOT NULL;

CREATE TABLE entry (
    incident TEXT NOT NULL, seq INTEGER NOT NULL, "key" TEXT NOT NULL, kind TEXT NOT NULL, at {double} NOT NULL,
    data TEXT NOT NULL,
    CONSTRAINT pk_entry PRIMARY KEY (incident, seq),
    CONSTRAINT uq_entry_incident_key UNIQUE (incident, "key"),
    CONSTRAINT ck_entry_seq CHECK (seq >= 1),
    CONSTRAINT ck_entry_kind CHECK (kind IN ('status', 'comment', 'assignment', 'snooze', 'tags',
        'alerts', 'changes', 'resolved', 'reopened', 'other')),
    CONSTRAINT fk_entry_incident FOREIGN KEY(incident) REFERENCES incident (id)
);

CREATE TABLE share (
    id {id} NOT NULL, incident TEXT NOT NULL, hash TEXT NOT NULL, received {double} NOT NULL,
    times_seen INTEGER NOT NULL, headers TEXT NOT NULL, size INTEGER NOT NULL, body {blob} NOT NULL,
    planned_at {double}, as_of {double}, outcome TEXT, routes TEXT NOT NULL, decision TEXT NOT NULL,
    plan_due {double}, plan_starts INTEGER NOT NULL, plan_tries INTEGER NOT NULL, plan_error TEXT NOT NULL,
    plan_failed_by TEXT NOT NULL,
    CONSTRAINT pk_share PRIMARY KEY (id),
    CONSTRAINT uq_share_hash_incident UNIQUE (hash, incident),
    CONSTRAINT ck_share_times_seen CHECK (times_seen >= 1),
    CONSTRAINT ck_share_plan_starts CHECK (plan_starts >= 0),
    CONSTRAINT ck_share_plan_tries CHECK (plan_tries >= 0),
    CONSTRAINT ck_share_outcome CHECK (outcome IN ('first', 'update', 'nothing_new', 'repeat',
        'ended_long_ago', 'dropped', 'no_route')),
    CONSTRAINT ck_share_planned CHECK ((planned_at IS NULL) = (outcome IS NULL)
        AND (planned_at IS NULL) = (as_of IS NULL)),
    CONSTRAINT ck_share_planned_is_not_due CHECK (planned_at IS NULL OR plan_due IS NULL)
);
CREATE INDEX ix_share_incident ON share (incident);
CREATE INDEX ix_share_received ON share (received, routes);
CREATE INDEX ix_share_unplanned ON share (incident, id) WHERE planned_at IS NULL;
CREATE INDEX ix_share_plan_due ON share (plan_due) WHERE plan_due IS NOT NULL;

CREATE TABLE attempt (
    id {id} NOT NULL, card {reference} NOT NULL, "key" TEXT NOT NULL, kind TEXT NOT NULL,
    generation INTEGER NOT NULL, upto_seq INTEGER NOT NULL, started_at {double} NOT NULL, state TEXT NOT NULL,
    tries INTEGER NOT NULL, targets TEXT NOT NULL, data TEXT NOT NULL, searches INTEGER NOT NULL,
    next_search_at {double},
    CONSTRAINT pk_attempt PRIMARY KEY (id),
    CONSTRAINT ck_attempt_kind CHECK (kind IN ('root', 'reply')),
    CONSTRAINT ck_attempt_state CHECK (state IN ('in_flight', 'waiting', 'in_doubt', 'done', 'dropped',
        'rejected')),
    CONSTRAINT ck_attempt_generation CHECK (generation >= 0),
    CONSTRAINT ck_attempt_upto_seq CHECK (upto_seq >= 0),
    CONSTRAINT ck_attempt_tries CHECK (tries >= 0),
    CONSTRAINT ck_attempt_searches CHECK (searches >= 0),
    CONSTRAINT fk_attempt_card FOREIGN KEY(card) REFERENCES card (id),
    CONSTRAINT uq_attempt_key UNIQUE ("key")
);
CREATE INDEX ix_attempt_card ON attempt (card);
CREATE INDEX ix_attempt_next_search_at ON attempt (next_search_at) WHERE next_search_at IS NOT NULL;
CREATE INDEX ix_attempt_state ON attempt (state) WHERE state IN ('in_flight', 'waiting', 'in_doubt');
CREATE UNIQUE INDEX uq_attempt_open ON attempt (card) WHERE state IN ('in_flight', 'waiting', 'in_doubt');

CREATE TABLE call (
    id {id} NOT NULL, card {reference} NOT NULL, method TEXT NOT NULL, at {double} NOT NULL,
    answer TEXT NOT NULL,
    CONSTRAINT pk_call PRIMARY KEY (id),
    CONSTRAINT fk_call_card FOREIGN KEY(card) REFERENCES card (id)
);
CREATE INDEX ix_call_at ON call (at);
CREATE INDEX ix_call_card ON call (card);

CREATE TABLE dead_letter (
    id {id} NOT NULL, card {reference} NOT NULL, reason TEXT NOT NULL, remedy TEXT NOT NULL,
    since {double} NOT NULL, closed_at {double}, discard_reason TEXT, after_seq BIGINT, upto_seq BIGINT,
    CONSTRAINT pk_dead_letter PRIMARY KEY (id),
    CONSTRAINT fk_dead_letter_card FOREIGN KEY(card) REFERENCES card (id)
);
CREATE INDEX ix_dead_letter_card ON dead_letter (card);
CREATE UNIQUE INDEX uq_dead_letter_open ON dead_letter (card) WHERE closed_at IS NULL;
"""


def upgrade() -> None:
    """Create each table after those that it refers to."""
    statements = TABLES.format_map(TYPES[op.get_bind().dialect.name])
    for statement in statements.split(";"):
        if statement.strip():
            op.execute(statement)
