CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE api_key (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	user_id TEXT NOT NULL,
	digest TEXT NOT NULL,
	scopes TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	label TEXT NOT NULL,
	expires_at BIGINT,
	revoked_at BIGINT,
	CONSTRAINT pk_api_key PRIMARY KEY (id),
	CONSTRAINT uq_api_key_digest UNIQUE (digest)
);
CREATE TABLE attempt (
	unit TEXT NOT NULL,
	number BIGINT NOT NULL,
	tenant TEXT NOT NULL,
	run BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	deployment TEXT NOT NULL,
	prompt_tokens BIGINT NOT NULL,
	reserved TEXT,
	began_at BIGINT NOT NULL,
	user_id TEXT NOT NULL,
	feature TEXT NOT NULL,
	used TEXT,
	output_bytes BIGINT NOT NULL,
	booked BOOLEAN NOT NULL,
	error TEXT NOT NULL, key_id TEXT DEFAULT '' NOT NULL, holder TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_attempt PRIMARY KEY (unit, number)
);
CREATE TABLE budget (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	rule TEXT NOT NULL,
	account TEXT NOT NULL,
	version BIGINT NOT NULL,
	CONSTRAINT pk_budget PRIMARY KEY (id)
);
CREATE TABLE budget_alert (
	budget TEXT NOT NULL,
	tenant TEXT NOT NULL,
	window_start BIGINT NOT NULL,
	threshold TEXT NOT NULL,
	budget_limit TEXT NOT NULL,
	spent TEXT NOT NULL,
	currency TEXT NOT NULL,
	told_at BIGINT NOT NULL,
	CONSTRAINT pk_budget_alert PRIMARY KEY (budget, window_start, threshold, budget_limit)
);
CREATE TABLE cached (
	tenant TEXT NOT NULL,
	kind TEXT NOT NULL,
	digest TEXT NOT NULL,
	body BLOB NOT NULL,
	size_bytes BIGINT NOT NULL,
	made_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_cached PRIMARY KEY (tenant, kind, digest)
);
CREATE TABLE change (
	tenant TEXT NOT NULL,
	collection TEXT NOT NULL,
	position BIGINT NOT NULL,
	document TEXT NOT NULL,
	removed TEXT NOT NULL,
	added TEXT NOT NULL,
	CONSTRAINT pk_change PRIMARY KEY (tenant, collection, position),
	CONSTRAINT fk_change_collection FOREIGN KEY(tenant, collection) REFERENCES collection (tenant, name) ON DELETE CASCADE
);
CREATE TABLE chunk (
	tenant TEXT NOT NULL,
	collection TEXT NOT NULL,
	id TEXT NOT NULL,
	document TEXT NOT NULL,
	ordinal BIGINT NOT NULL,
	text TEXT NOT NULL,
	start_offset BIGINT NOT NULL,
	end_offset BIGINT NOT NULL,
	heading TEXT NOT NULL,
	language TEXT NOT NULL,
	CONSTRAINT pk_chunk PRIMARY KEY (tenant, collection, id),
	CONSTRAINT fk_chunk_document FOREIGN KEY(tenant, collection, document) REFERENCES document (tenant, collection, id) ON DELETE CASCADE
);
CREATE TABLE chunk_vectors (
	tenant TEXT NOT NULL,
	collection TEXT NOT NULL,
	chunk TEXT NOT NULL,
	vector_count BIGINT NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_chunk_vectors PRIMARY KEY (tenant, collection, chunk),
	CONSTRAINT fk_chunk_vectors_chunk FOREIGN KEY(tenant, collection, chunk) REFERENCES chunk (tenant, collection, id) ON DELETE CASCADE
);
CREATE TABLE collection (
	tenant TEXT NOT NULL,
	name TEXT NOT NULL,
	embedder TEXT NOT NULL,
	dimensions BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	description TEXT NOT NULL,
	position BIGINT NOT NULL,
	document_count BIGINT NOT NULL,
	chunk_count BIGINT NOT NULL,
	CONSTRAINT pk_collection PRIMARY KEY (tenant, name)
);
CREATE TABLE conversation (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	owner TEXT NOT NULL,
	title TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	head TEXT,
	labels TEXT NOT NULL,
	etag TEXT NOT NULL,
	CONSTRAINT pk_conversation PRIMARY KEY (id)
);
CREATE TABLE document (
	tenant TEXT NOT NULL,
	collection TEXT NOT NULL,
	id TEXT NOT NULL,
	uri TEXT NOT NULL,
	title TEXT NOT NULL,
	content_type TEXT NOT NULL,
	digest TEXT NOT NULL,
	size_bytes BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	attributes TEXT NOT NULL,
	chunk_count BIGINT NOT NULL,
	CONSTRAINT pk_document PRIMARY KEY (tenant, collection, id),
	CONSTRAINT fk_document_collection FOREIGN KEY(tenant, collection) REFERENCES collection (tenant, name) ON DELETE CASCADE,
	CONSTRAINT uq_document_tenant_collection_uri UNIQUE (tenant, collection, uri)
);
CREATE TABLE event (
	turn TEXT NOT NULL,
	seq BIGINT NOT NULL,
	tenant TEXT NOT NULL,
	run BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	kind TEXT NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_event PRIMARY KEY (turn, seq)
);
CREATE TABLE execution (
	turn TEXT NOT NULL,
	request_id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	user_id TEXT NOT NULL,
	prompt_version TEXT NOT NULL,
	model_version TEXT NOT NULL,
	retrieved TEXT NOT NULL,
	tool_calls TEXT NOT NULL,
	latency_ms FLOAT NOT NULL,
	first_event_ms FLOAT,
	usage TEXT NOT NULL,
	cost TEXT,
	currency TEXT NOT NULL,
	validation TEXT NOT NULL,
	answered_by TEXT NOT NULL,
	reason TEXT NOT NULL,
	details TEXT NOT NULL,
	CONSTRAINT pk_execution PRIMARY KEY (turn)
);
CREATE TABLE idempotency (
	tenant TEXT NOT NULL,
	user_id TEXT NOT NULL,
	operation TEXT NOT NULL,
	request_id TEXT NOT NULL,
	turn TEXT NOT NULL,
	digest TEXT NOT NULL,
	CONSTRAINT pk_idempotency PRIMARY KEY (tenant, user_id, operation, request_id)
);
CREATE TABLE ledger (
	unit TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	tenant TEXT NOT NULL,
	user_id TEXT NOT NULL,
	feature TEXT NOT NULL,
	deployment TEXT NOT NULL,
	model TEXT NOT NULL,
	usage TEXT NOT NULL,
	cost TEXT,
	currency TEXT NOT NULL,
	estimated BOOLEAN NOT NULL,
	booked_at BIGINT NOT NULL, key_id TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_ledger PRIMARY KEY (unit, attempt)
);
CREATE TABLE message (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	conversation TEXT NOT NULL,
	parent TEXT,
	role TEXT NOT NULL,
	parts TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	turn TEXT,
	partial BOOLEAN NOT NULL,
	citations TEXT NOT NULL,
	model TEXT NOT NULL,
	CONSTRAINT pk_message PRIMARY KEY (id),
	CONSTRAINT fk_message_conversation FOREIGN KEY(conversation) REFERENCES conversation (id) ON DELETE CASCADE
);
CREATE TABLE reader (
	turn TEXT NOT NULL,
	boot TEXT NOT NULL,
	tenant TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_reader PRIMARY KEY (turn, boot)
);
CREATE TABLE turn (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	user_id TEXT NOT NULL,
	state TEXT NOT NULL,
	run BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	owner TEXT NOT NULL,
	claim_nonce TEXT NOT NULL,
	lease_until BIGINT NOT NULL,
	deadline_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	request_id TEXT NOT NULL,
	conversation TEXT,
	parent TEXT NOT NULL,
	user_message TEXT,
	feature TEXT NOT NULL,
	next_seq BIGINT NOT NULL,
	log_from BIGINT NOT NULL,
	released BOOLEAN NOT NULL,
	done BOOLEAN NOT NULL,
	cancel TEXT,
	detached BOOLEAN NOT NULL,
	linger FLOAT NOT NULL,
	retractions BOOLEAN NOT NULL,
	rerunnable BOOLEAN NOT NULL,
	reason TEXT,
	error TEXT,
	ended_at BIGINT, approval TEXT DEFAULT '' NOT NULL, wait_until BIGINT, decision TEXT, forgotten BOOLEAN DEFAULT 0 NOT NULL, sweep TEXT,
	CONSTRAINT pk_turn PRIMARY KEY (id)
);
CREATE INDEX ix_api_key_tenant_created_at ON api_key (tenant, created_at);
CREATE INDEX ix_attempt_holder ON attempt (holder, unit, number) WHERE holder <> '';
CREATE INDEX ix_attempt_orphaned ON attempt (began_at) WHERE NOT booked AND epoch = 0;
CREATE INDEX ix_cached_expires_at ON cached (expires_at);
CREATE INDEX ix_cached_newest ON cached (tenant, kind, made_at, digest, size_bytes);
CREATE INDEX ix_chunk_tenant_collection_document_ordinal ON chunk (tenant, collection, document, ordinal);
CREATE INDEX ix_conversation_tenant_owner_updated_at_id ON conversation (tenant, owner, updated_at, id);
CREATE INDEX ix_idempotency_turn ON idempotency (turn);
CREATE INDEX ix_ledger_tenant_booked_at ON ledger (tenant, booked_at);
CREATE INDEX ix_message_conversation_created_at_id ON message (conversation, created_at, id);
CREATE INDEX ix_turn_conversation ON turn (conversation) WHERE conversation IS NOT NULL;
CREATE INDEX ix_turn_state_created_at_id ON turn (state, created_at, id);
CREATE INDEX ix_turn_sweep ON turn (sweep, ended_at, id) WHERE sweep IS NOT NULL;
CREATE UNIQUE INDEX ux_turn_busy_branch ON turn (tenant, conversation, parent) WHERE state IN ('RUNNING', 'WAITING') AND conversation IS NOT NULL;
INSERT INTO alembic_version VALUES ('0006');
